"""A cluster of real worker processes, one for all tests of a file."""

import pytest
from crbatch.cluster.connect import connect


@pytest.fixture(scope="module")
def shared_client():
    with connect("local", 2) as client:
        yield client


@pytest.fixture
def client(shared_client):
    shared_client.wait_for_workers(2)  # the test before may have killed one
    return shared_client
