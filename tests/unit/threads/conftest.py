import pytest


@pytest.fixture(autouse=True)
def every_cluster_is_closed(clusters_are_closed: None) -> None:
    """Close the clusters of each test in this folder."""
