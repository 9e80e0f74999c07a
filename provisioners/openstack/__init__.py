"""The driver of OpenStack clouds.  `driver` speaks the contract; openstacksdk is loaded at the first call into a cloud, not before."""
