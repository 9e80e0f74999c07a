"""The socket that the server listens on."""

import socket

from apiserver import serving


def test_an_answer_is_sent_at_once_and_not_held_back_for_an_acknowledgement() -> None:
    with serving.listen("127.0.0.1", 0, tls=False) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
