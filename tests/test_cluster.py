"""A search on a cluster whose hosts die, are cut off and join ends with the bits of one alone."""

import pytest

from .cluster import faults, hosts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(hosts.why_not() is not None, reason=hosts.why_not() or "it can"),
]


@pytest.mark.parametrize("name", ["killed", "cut off", "joined"])
def test_the_bits_are_those_of_a_search_alone(name):
    cost = 0.05 if name == "joined" else 0.02  # a host that joins takes some seconds
    story = faults.tell(name, faults.Search(cost=cost))
    assert story.ok, story
    assert (story.deaths > 0) == (name != "joined")


def test_without_a_timeout_rays_health_checks_find_the_host_that_was_cut_off():
    story = faults.tell("cut off", faults.Search(cost=0.02), timeout=0)
    assert story.ok and story.deaths > 0 and story.longest < 20


def test_long_candidates_do_not_travel():
    (row,) = faults.wire(dim=2**18, popsizes=(64,), generations=8)
    # mean, scale and factor go to each of two hosts, and nothing else that is long; where the
    # machine is busy the first of the six generations may be on its way before the count begins
    assert 5 / 6 * 0.98 * 6 * 8 * 2**18 < row.received < 0.15 * row.population


def test_a_ray_client_searches_from_outside():
    search = faults.Search(generations=5)
    with hosts.Hosts(["head", "one"], cpus=[0, 2]) as network:
        network.start_ray()
        driver = faults.driver(network, search, address=f"ray://{network.ip('head')}:10001")
        said = driver.until("digest", 100)
    assert f"digest {faults.alone(search)}" in said and "failures 0" in said
