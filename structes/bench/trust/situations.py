"""All situations by name, in the order of the table's rows."""

from __future__ import annotations

from . import around, telling, values

SITUATIONS = {**telling.SITUATIONS, **values.SITUATIONS, **around.SITUATIONS}
