# SPDX-License-Identifier: MPL-2.0
"""What processes of this machine say and hear over TCP on the loopback, byte by byte: an AF_PACKET socket (root), flows put together again,
and what ZMTP and CURVE make of them. For tests that have to show that nobody is heard."""

import os
import socket
import struct
import threading

ETH_P_ALL, PACKET_OUTGOING, SOL_PACKET, PACKET_STATISTICS = 3, 4, 263, 6
FIN, SYN, RST, ACK = 1, 2, 4, 16
LOOKS = 20  # for whose a connection is: the kernel's list may skip one while others come and go
GREETING = 64  # of ZMTP 3
COMMANDS = {b"\x05HELLO": "HELLO", b"\x07WELCOME": "WELCOME", b"\x08INITIATE": "INITIATE", b"\x05READY": "READY", b"\x05ERROR": "ERROR",
            b"\x07MESSAGE": "MESSAGE"}


class Direction:
    """Bytes of one side, in their order; frames of ZMTP behind the greeting."""

    def __init__(self):
        self.next, self.size, self.rest, self.greeted = None, 0, b"", False
        self.said = {}  # how many of which command

    def take(self, sequence, payload):
        if self.next is not None:
            old = (self.next - sequence) & 0xffffffff
            if old < 0x80000000:  # what was sent again
                payload = payload[old:]
                sequence = self.next
        self.next = (sequence + len(payload)) & 0xffffffff
        self.size += len(payload)
        self.rest += payload
        self.cut()

    def cut(self):
        if not self.greeted:
            if len(self.rest) < GREETING:
                return
            self.greeted, self.rest = True, self.rest[GREETING:]
        while len(self.rest) >= 2:
            long = self.rest[0] & 2
            head = 9 if long else 2
            if len(self.rest) < head:
                return
            size = struct.unpack(">Q", self.rest[1:9])[0] if long else self.rest[1]
            if len(self.rest) < head + size:
                return
            body, self.rest = self.rest[head:head + size], self.rest[head + size:]
            name = next((text for start, text in COMMANDS.items() if body.startswith(start)), "OTHER")
            self.said[name] = self.said.get(name, 0) + 1


class Flow:
    """From a process that is watched (`out`) and to it (`into`). `old`: it was there before the capture, in the middle of a session."""

    def __init__(self, old):
        self.out, self.into, self.old, self.resets, self.dialled = Direction(), Direction(), old, 0, False
        self.cut = False  # by the other side
        self.out.greeted = self.into.greeted = old


def sockets_of(pid):
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                pass
    except OSError:
        pass
    return found


def connections():
    """(local port, other port): the socket's name, of all that this machine has."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    return {(int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16)): (f"socket:[{row[9]}]", row[3]) for row in rows}


class Owners:
    """Whose a connection of this machine is: the kernel is asked for that one socket (sock_diag), which costs nothing beside its lists."""

    def __init__(self, pids):
        self.pids, self.owned = pids, set()
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)

    def inode(self, source, target):
        """0: there is none, or none any more."""
        here = socket.inet_aton("127.0.0.1") + bytes(12)
        asked = struct.pack(">BBBB", socket.AF_INET, socket.IPPROTO_TCP, 0, 0) + b"\xff" * 4 + struct.pack(">HH", source, target) + here + here
        asked += bytes(4) + b"\xff" * 8
        self.netlink.send(struct.pack("=IHHII", 16 + len(asked), 20, 1, 1, 0) + asked)
        told = self.netlink.recv(4096)
        size, kind = struct.unpack("=IH", told[:6])
        if kind != 20 or size < 88 or told[17] == 10:  # an error, or a listening one
            return 0
        return struct.unpack("=I", told[84:88])[0]

    def is_theirs(self, source, target):
        """None: nobody knows."""
        inode = self.inode(source, target)
        if inode == 0:
            return None
        if f"socket:[{inode}]" not in self.owned:
            self.owned = set().union(*map(sockets_of, self.pids))
        return f"socket:[{inode}]" in self.owned


class Capture(threading.Thread):
    """Watches these processes, whose doors are at these ports, from now on until it is ended: what they say to doors of their cluster, and
    what is said to theirs. Other clusters of this machine are nobody's business."""

    def __init__(self, pids, ports, doors):
        super().__init__(daemon=True)
        self.owners, self.ports, self.doors = Owners(list(pids)), set(ports), set(doors)
        self.flows, self.lost, self.packets, self.unknown, self.others = {}, 0, 0, {}, 0
        self.ended = threading.Event()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        owned = set().union(*map(sockets_of, pids))
        for (local, other), (name, state) in connections().items():
            if name in owned and state != "0A":
                self.flows[(local, other)] = Flow(True)
        for key in [key for key in self.flows if key[::-1] in self.flows]:
            del self.flows[key]  # between two who are watched: of those nobody is to be kept from the other
        self.before = len(self.flows)
        self.start()

    def run(self):
        while not self.ended.is_set():
            try:
                packet, address = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                continue
            if address[2] == PACKET_OUTGOING:  # on the loopback each comes twice
                self.see(packet)

    def see(self, packet):
        if packet[12:14] != b"\x08\x00" or packet[23] != 6:
            return
        self.packets += 1
        ip = 14 + (packet[14] & 15) * 4
        total = 14 + struct.unpack(">H", packet[16:18])[0]
        source, target, sequence = struct.unpack(">HHI", packet[ip:ip + 8])
        flags, payload = packet[ip + 13], packet[ip + (packet[ip + 12] >> 4) * 4:total]
        if flags & SYN:
            sequence += 1
        flow, out = self.flow(source, target, flags)
        if flow is None:
            return
        flow.resets += bool(flags & RST)
        flow.cut |= bool(flags & (RST | FIN)) and not out
        (flow.out if out else flow.into).take(sequence, payload)

    def flow(self, source, target, flags):
        """And whether it is the watched side that speaks; None: it concerns nobody who is watched."""
        if flags & SYN and not flags & ACK:
            self.dialled(source, target)
        self.look_again(source, target)
        if (source, target) in self.flows:
            return self.flows[(source, target)], True
        return self.flows.get((target, source)), False

    def dialled(self, source, target):
        self.flows.pop((source, target), None)
        if target in self.ports:  # one of their doors
            self.flows[(target, source)] = Flow(False)
        elif target in self.doors:
            self.flows[(source, target)] = Flow(False)
            self.unknown[(source, target)] = 0

    def look_again(self, source, target):
        """A connection of whom is not known yet is followed as if it were theirs, until it turns out to be somebody else's."""
        key = (source, target) if (source, target) in self.unknown else (target, source)
        if self.unknown.get(key, LOOKS) >= LOOKS:
            return
        self.unknown[key] += 1
        theirs = self.owners.is_theirs(*key)
        if theirs is None:
            return
        del self.unknown[key]
        if theirs:
            self.flows[key].dialled = True
        else:
            del self.flows[key]
            self.others += 1

    def end(self):
        self.ended.set()
        self.join()
        _, self.lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.socket.close()
        self.owners.netlink.close()
        return self

    def count(self, side, name, old):
        return sum(getattr(flow, side).said.get(name, 0) for flow in self.flows.values() if flow.old == old)

    def size(self, side, old):
        return sum(getattr(flow, side).size for flow in self.flows.values() if flow.old == old)
