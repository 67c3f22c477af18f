# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""OptionManager: the settings of the server."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.world import World


class OptionManager(Managed):
    """Settings can be read and changed; none has an effect."""

    TYPE = vim.option.OptionManager

    def __init__(self, vcenter: World, moid: str) -> None:
        super().__init__(vcenter, moid)
        self._values: dict[str, Any] = {
            "VirtualCenter.InstanceName": "bareos-vmsnap lab",
            "config.vpxd.event.maxAge": 30,
            "config.vpxd.task.maxAge": 30,
        }

    @property
    def setting(self) -> list[Any]:
        return [vim.option.OptionValue(key=key, value=value) for key, value in self._values.items()]

    @operation("QueryOptions")
    def query(self, call: Call, name: Optional[str]) -> list[Any]:
        """One option, or all below a name that ends in a dot. Raises InvalidName."""
        found = [
            option
            for option in self.setting
            if name is None
            or option.key == name
            or (name.endswith(".") and option.key.startswith(name))
        ]
        if not found:
            raise vim.fault.InvalidName(name=name, msg=f"There is no option {name}")
        return found

    @operation("UpdateOptions")
    def update(self, call: Call, changes: list[Any]) -> None:
        call.require("Global.Settings", self)
        for option in changes:
            if option.key not in self._values:
                raise vim.fault.InvalidName(name=option.key, msg=f"There is no {option.key}")
        self._values.update({option.key: option.value for option in changes})
