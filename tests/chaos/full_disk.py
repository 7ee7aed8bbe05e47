# SPDX-License-Identifier: MPL-2.0
"""hostile's part about full disks: beside one full zone everything goes on; where all are full puts hear so, and reads,
deletes, elections and starts go on; with space everything heals."""

import os
import shutil
import subprocess
import time

from target import MIB, S3, Target, alive, code_of, say, wait_for

FOLDER_IMAGE = 768 * MIB


class Ballast:
    """Fills the file system until so much is left, and gives it back."""

    def __init__(self, folder):
        self.path = folder / "ballast"

    def leave(self, free_bytes):
        with open(self.path, "ab") as file:
            state = os.statvfs(self.path.parent)
            size = self.path.stat().st_size + max(0, state.f_bavail * state.f_frsize - free_bytes)
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                pass
        if free_bytes == 0:
            with open(self.path, "ab", buffering=0) as file:
                try:
                    while file.write(bytes(65536)):
                        pass
                except OSError:
                    pass

    def drop(self):
        self.path.unlink(missing_ok=True)


class SmallDisk:
    """A zone's folder on a file system of its own: of a loop device, or of memory where there is none."""

    def __init__(self, folder, image):
        self.folder, self.image, self.ballast = folder, image, Ballast(folder)

    def mount(self):
        """What this machine cannot do, or None; then the zone's files are on the small file system."""
        aside = self.folder.with_name(self.folder.name + ".aside")
        with open(self.image, "wb") as file:
            file.truncate(FOLDER_IMAGE)
        why = run_quietly("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        self.folder.rename(aside)
        self.folder.mkdir()
        if why or (why := run_quietly("mount", "-o", "loop", self.image, self.folder)):
            why = run_quietly("mount", "-t", "tmpfs", "-o", f"size={FOLDER_IMAGE}", "hostile", self.folder)
        if why:
            self.folder.rmdir()
            aside.rename(self.folder)
            return why
        shutil.copytree(aside, self.folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        return None

    def unmount(self, keep):
        """What is to be kept moves to where it would have been."""
        copy = self.folder.with_name(self.folder.name + ".copy")
        if keep:
            self.ballast.drop()
            shutil.copytree(self.folder, copy)
        run_quietly("umount", "-l", self.folder)
        self.image.unlink(missing_ok=True)
        if keep:
            self.folder.rmdir()
            copy.rename(self.folder)


def run_quietly(*words):
    """None, or what went wrong."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as problem:
        return f"{words[0]}: {problem}"
    return None if done.returncode == 0 else f"{words[0]}: {done.stdout.decode(errors='replace').strip()}"


class TargetOnSmallDisks(Target):
    """Each zone has a file system of its own, where such can be mounted."""

    def __init__(self, build, folder, *words):
        self.disks = {}
        super().__init__(build, folder, *words)

    def prepare(self, folder):
        self.found()
        for zone in self.zones:
            disk = SmallDisk(self.folder / zone, folder / f"{zone}.image")
            if why := disk.mount():
                say(f"disk: SKIPPED: no small file system can be mounted here: {why}")
                return
            self.disks[zone] = disk

    def end(self, keep):
        super().end(keep)
        for disk in self.disks.values():
            disk.unmount(keep)


class Disks:
    """The steps of the disk part: each says what users of a cluster hear whose disks are as full as that."""

    def __init__(self, target, result):
        self.target, self.result, self.disks = target, result, target.disks
        self.edges = {zone: S3(target, zone) for zone in target.zones}

    def kv(self, zone, *words):
        return self.target.run(zone, "--timeout", "3000", "kv", *words)

    def settles(self, how, what, answers):
        """Asks until it is so, or the time is over: what is on its way when a disk fills up may end in any way."""
        good = wait_for(answers)
        self.result.check(good, f"{how}: {what}")
        return good

    def fill(self, free_bytes, *zones):
        for zone in zones or self.target.zones:
            self.disks[zone].ballast.leave(free_bytes)

    def drop_all(self):
        for disk in self.disks.values():
            disk.ballast.drop()

    def put_fails(self, timeout_ms):
        return self.target.run("z2", "--timeout", timeout_ms, "kv", "put", "hostile", "one-disk", "x")[0] != 0

    def reads_go_on(self, how, zones=None):
        for zone in zones or self.target.zones:
            self.settles(how, f"a get from {zone}", lambda: "kept" in self.kv(zone, "get", "hostile", "before-full")[1])
            self.settles(how, f"an S3 get from {zone}", lambda: self.edges[zone].ask("GET", "/hostile/before-full")[0] == 200)

    def deletes_go_on(self, how, number):
        name = f"delete-{number}"
        self.settles(how, "a delete", lambda: self.kv("z1", "delete", "hostile", name)[0] == 0)
        self.settles(how, "an S3 delete", lambda: self.edges["z2"].ask("DELETE", f"/hostile/{name}")[0] == 204)
        self.result.check("kept" not in self.kv("z2", "get", "hostile", name)[1], f"{how}: {name} is still there")
        self.result.check(self.edges["z3"].ask("GET", f"/hostile/{name}")[0] == 404, f"{how}: /hostile/{name} is still there")

    def puts_go_on(self, how, zones=None):
        body = os.urandom(100_000)
        for zone in zones or self.target.zones:
            self.settles(how, f"a put at {zone}", lambda: self.kv(zone, "put", "hostile", "more", zone)[0] == 0)
            self.settles(how, f"an S3 put at {zone}", lambda: self.edges[zone].ask("PUT", "/hostile/more", body)[0] == 200)
            self.settles(how, "the object that was put", lambda: self.edges["z1"].ask("GET", "/hostile/more") == (200, body))

    def puts_are_refused(self, how):
        def kv_full():
            code, text = self.kv("z1", "put", "hostile", "full", "x")
            return code == 11 and "full" in text

        def s3_full():
            status, answer = self.edges["z2"].ask("PUT", "/hostile/full", os.urandom(100_000))
            return status == 507 and code_of(answer) == "InsufficientStorage"

        self.settles(how, "a put is refused as full", kv_full)
        self.settles(how, "an S3 put is refused with 507", s3_full)

    def alive(self, how, pids):
        for zone, pid in pids.items():
            self.result.check(alive(pid), f"{how}: the process of {zone} ended")

    def restart(self, zone):
        """kill -9, and a start on a disk as it is."""
        self.target.lab("kill", zone)
        self.target.lab("start", zone)

    def one_full(self):
        zone, how = "z3", "z3 is full"
        pids = {zone: self.target.pid(zone)}
        self.fill(0, zone)
        self.settles(how, "z3 is online-degraded", lambda: self.is_degraded(zone))
        self.puts_go_on(how)
        self.reads_go_on(how)
        self.deletes_go_on(how, 0)
        self.alive(how, pids)
        self.restart(zone)
        self.reads_go_on(f"{how} and was killed")
        self.puts_go_on(f"{how} and was killed", ["z1", "z2"])
        # Without another one there is no second disk for puts but z3's reserve, which is for what was under way.
        self.target.lab("kill", "z1")
        self.settles(f"{how}, z1 is down", "a put is not acknowledged", lambda: self.put_fails("1500"))
        self.result.check(self.put_fails("1500"), f"{how}, z1 is down, and yet a put is acknowledged")
        self.target.lab("start", "z1")
        self.puts_go_on(f"{how}, and z1 is back", ["z1"])
        self.disks[zone].ballast.drop()
        self.target.ready(self.result, "one zone has space again")

    def is_degraded(self, zone):
        for node in self.target.shell("z1", "map").get("nodes", []):
            if node["name"] == f"meta1@{zone}":
                return node.get("state") == "online-degraded"
        return False

    def all_full_at_once(self):
        """Puts are under way when the last byte goes, and their master dies: nobody waits for space to be led again."""
        for number in range(3):
            self.fill(0)
            victim = self.target.master_zone("meta1")
            how = f"all disks filled up amid puts, and {victim}, which led, is down ({number})"
            self.target.lab("kill", victim)
            self.reads_go_on(how, [zone for zone in self.target.zones if zone != victim])
            self.drop_all()
            self.target.lab("start", victim)
            self.target.ready(self.result, f"{how}; there is space again")

    def all_nearly_full(self):
        how = "all are below the first mark"
        self.fill(70 * MIB)
        self.puts_are_refused(how)
        self.reads_go_on(how)
        self.deletes_go_on(how, 1)

    def all_full(self):
        how = "no zone has a byte left"
        pids = {zone: self.target.pid(zone) for zone in self.target.zones}
        self.fill(0)
        self.puts_are_refused(how)
        self.reads_go_on(how)
        self.alive(how, pids)
        victim = self.target.master_zone("meta1")
        others = [zone for zone in self.target.zones if zone != victim]
        self.target.lab("kill", victim)
        self.reads_go_on(f"{how}, and {victim}, which led, is down", others)
        self.target.lab("start", victim)
        self.reads_go_on(f"{how}, and {victim} was killed and started")
        self.puts_are_refused(f"{how}, and {victim} was killed and started")

    def space_again(self):
        self.drop_all()
        self.target.ready(self.result, "space again everywhere")
        self.puts_go_on("there is space again")
        self.reads_go_on("there is space again")


def part_disk(target, result):
    if len(target.disks) < len(target.zones):
        return
    steps = Disks(target, result)
    for name in ("before-full", "delete-0", "delete-1"):
        steps.settles("before", f"put {name}", lambda: steps.kv("z1", "put", "hostile", name, "kept")[0] == 0)
        steps.settles("before", f"S3 put {name}", lambda: steps.edges["z1"].ask("PUT", f"/hostile/{name}", b"kept" * 1000)[0] == 200)
    for step in (steps.one_full, steps.all_full_at_once, steps.all_nearly_full, steps.all_full, steps.space_again):
        started = time.monotonic()
        step()
        say(f"disk: {step.__name__}: {time.monotonic() - started:.1f} s")
