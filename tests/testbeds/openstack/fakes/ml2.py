"""ML2 mechanism driver of the testbed: binds every port on every host at once, no agent.

All of neutron above the wire is real: IPAM, quotas, RBAC, security groups, notifications.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class AnyHost(api.MechanismDriver):
    vif_details = {  # noqa: RUF012  read by neutron as it is
        portbindings.CAP_PORT_FILTER: True,
        portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
        portbindings.VIF_DETAILS_BRIDGE_NAME: "br-int",
    }

    def initialize(self):
        pass

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        if context.segments_to_bind:
            context.set_binding(
                context.segments_to_bind[0][api.ID], portbindings.VIF_TYPE_OVS, self.vif_details, constants.PORT_STATUS_ACTIVE
            )
