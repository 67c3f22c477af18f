# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from collections.abc import Iterator

import pytest

from bareos_vmsnap.vsphere.session import Server, Session
from vmsnap_lab.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def server(lab: Lab) -> Server:
    """The lab's vCenter, verified by its CA."""
    return Server(lab.host, lab.user, lab.password, lab.port, ca_file=str(lab.ca_file))


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    made = Session(server)
    yield made
    made.close()
