"""Listens to the testbed's notifications on RabbitMQ; prints one line for each event.

  eval "$(./testbed env)"; "$TESTBED_PYTHON" events.py [SECONDS]

It binds a queue of its own to each service's topic exchange, so any number of
listeners each see every event, and the queues that the services declare stay alone.
"""

import contextlib
import json
import os
import sys
import threading

import kombu
import kombu.mixins

TOPICS = {
    "nova": "versioned_notifications",
    "cinder": "notifications",
    "neutron": "notifications",
    "keystone": "notifications",
    "glance": "notifications",
}


class Listener(kombu.mixins.ConsumerMixin):
    """Calls handle(service, event) for each notification, until `should_stop` is set."""

    def __init__(self, url, handle):
        self.connection, self.handle = kombu.Connection(url, heartbeat=30), handle
        self.ready = threading.Event()

    def get_consumers(self, consumer, channel):
        def queue(service, topic):
            # the same arguments as oslo.messaging's, or the broker refuses the declaration
            exchange = kombu.Exchange(service, "topic", durable=False, auto_delete=False)
            return kombu.Queue(
                exclusive=True,
                auto_delete=True,
                durable=False,
                bindings=[kombu.binding(exchange, f"{topic}.{level}") for level in ("info", "error", "warn", "audit", "critical")],
            )

        def receiver(service):
            def receive(body, message):
                self.handle(service, json.loads(body["oslo.message"]))
                message.ack()

            return receive

        return [consumer(queue(service, topic), callbacks=[receiver(service)]) for service, topic in TOPICS.items()]

    def on_consume_ready(self, connection, channel, consumers, **kwargs):
        self.ready.set()


def brief(service, event):
    """The few fields that a meter would want."""
    load = event["payload"]
    if service == "nova":
        load = load.get("nova_object.data", {})
        flavor = (load.get("flavor") or {}).get("nova_object.data", {})
        facts = {
            k: load.get(k)
            for k in ("uuid", "tenant_id", "host", "state", "task_state", "launched_at", "terminated_at")
            if load.get(k)
        }
        facts |= {k: flavor[k] for k in ("vcpus", "memory_mb", "root_gb") if k in flavor}
    elif service == "keystone" and "typeURI" in load:
        facts = {k: load.get(k) for k in ("action", "outcome", "resource_info") if load.get(k)}
        facts["initiator"] = load["initiator"].get("user_id") or load["initiator"].get("id")
    else:
        facts = {k: load[k] for k in ("volume_id", "tenant_id", "size", "status", "volume_type") if k in load} or {
            k: v.get("id") for k, v in load.items() if isinstance(v, dict)
        }
    return f"{event['timestamp'][:23]} {service:8} {event['event_type']:32} {json.dumps(facts)}"


if __name__ == "__main__":
    listener = Listener(os.environ["TESTBED_AMQP_URL"], lambda service, event: print(brief(service, event), flush=True))
    if len(sys.argv) > 1:
        threading.Timer(float(sys.argv[1]), setattr, (listener, "should_stop", True)).start()
    with contextlib.suppress(KeyboardInterrupt):
        listener.run()
