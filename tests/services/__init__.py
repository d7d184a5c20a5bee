"""Private copies of the real components: each starts its own process and ends only that one."""

from tests.services.process import ComponentMissing, Service, ServiceFailed, free_port

__all__ = ["ComponentMissing", "Service", "ServiceFailed", "free_port"]
