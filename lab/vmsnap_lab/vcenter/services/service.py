# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""ServiceInstance, ServiceContent, about."""

from __future__ import annotations

import datetime
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.world import World

VERSION, BUILD, API_VERSION = "8.0.3", "24022515", "8.0.3.0"


class ServiceInstance(Managed):
    """Not simulated: service content beyond what `publish` gets."""

    TYPE = vim.ServiceInstance

    def __init__(self, vcenter: World, moid: str) -> None:
        super().__init__(vcenter, moid)
        self.content: Any = None

    @property
    def serverClock(self) -> datetime.datetime:
        return self.vcenter.now()

    @property
    def capability(self) -> Any:
        return vim.Capability(
            provisioningSupported=True,
            multiHostSupported=self.vcenter.is_vcenter,
            userShellAccessSupported=False,
        )

    @property
    def about(self) -> Any:
        if not self.vcenter.is_vcenter:
            return host_about()
        return _about(
            "VMware vCenter Server",
            osType="linux-x64",
            productLineId="vpx",
            apiType="VirtualCenter",
            instanceUuid=self.vcenter.instance_uuid,
        )

    def publish(self, **references: Any) -> None:
        """Fill in the service content: what clients begin with."""
        self.content = vim.ServiceInstanceContent(about=self.about, **references)

    @operation("RetrieveServiceContent")
    def retrieve_content(self, call: Call) -> Any:
        self.content.about = self.about
        return self.content

    @operation("CurrentTime")
    def current_time(self, call: Call) -> datetime.datetime:
        return self.vcenter.now()


def host_about() -> Any:
    return _about(
        "VMware ESXi", osType="vmnix-x86", productLineId="embeddedEsx", apiType="HostAgent"
    )


def _about(product: str, **more: str) -> Any:
    return vim.AboutInfo(
        name=product,
        fullName=f"{product} {VERSION} build-{BUILD}",
        vendor="VMware, Inc.",
        version=VERSION,
        build=BUILD,
        localeVersion="INTL",
        localeBuild="000",
        apiVersion=API_VERSION,
        **more,
    )
