"""The faces of a search: ES, RestartES, minimize, and the arguments that all of them take."""
