"""Attempts of code to reach out of a sandbox or to exhaust the machine, as a table.

`HARNESS` runs all of them in one sandbox, each in a process of its own, and prints what each has
come to: the name of the exception, or `reached` and what was found.
"""

import json
from typing import NamedTuple

__all__ = ["ATTEMPTS", "Attempt", "harness"]


class Attempt(NamedTuple):
    """Python code that reaches out, and the exception by which it is refused."""

    id: str
    code: str
    refused: str


_OUTSIDE = "FileNotFoundError"
"""The file does not exist in the sandbox."""


def _open(path: str) -> str:
    return f"found = open({path!r}, 'rb').read(16)"


def _write(path: str) -> str:
    return f"found = open({path!r}, 'ab')"


def _call(x86: int, arm: int, *arguments: int) -> str:
    return f"call({x86}, {arm}, {', '.join(map(str, arguments))})"


ATTEMPTS = [
    # The network. `{port}`, `{socket}` and the like are places that exist outside.
    Attempt("tcp", "socket.create_connection(('127.0.0.1', {port}), 1)", "OSError"),
    Attempt("tcp6", "socket.socket(socket.AF_INET6)", "OSError"),
    Attempt("udp", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "OSError"),
    Attempt("dns", "socket.getaddrinfo('example.com', 80)", "gaierror"),
    Attempt("packets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "OSError"),
    Attempt("netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "OSError"),
    Attempt("vsock", "socket.socket(40, socket.SOCK_STREAM)", "OSError"),
    Attempt("kernel_crypto", "socket.socket(38, socket.SOCK_SEQPACKET)", "OSError"),
    Attempt("unix_socket", "socket.socket(socket.AF_UNIX).connect({socket!r})", _OUTSIDE),
    Attempt(
        "abstract_socket",
        "socket.socket(socket.AF_UNIX).connect({abstract!r})",
        "ConnectionRefusedError",
    ),
    # The environment and the descriptors of the worker.
    Attempt("variables", "found = os.environ['TEAMRUN_CANARY']", "KeyError"),
    Attempt("descriptors", "found = [fd for fd in range(3, 256) if is_open(fd)][0]", "IndexError"),
    Attempt("pipe_to_the_worker", "os.pidfd_open(1); " + _call(438, 438, 3, 1, 0), "EPERM"),
    # Files of the machine.
    Attempt("shadow", _open("/etc/shadow"), _OUTSIDE),
    Attempt("passwd", _open("/etc/passwd"), _OUTSIDE),
    Attempt("home_of_root", "found = os.listdir('/root')", _OUTSIDE),
    Attempt("file_of_the_worker", "found = open({secret!r}).read()", _OUTSIDE),
    Attempt("source_of_the_worker", "found = os.listdir({source!r})", _OUTSIDE),
    Attempt(
        "settings",
        "found = [each for each in os.listdir('/etc') if each not in"
        " ('alternatives', 'ld.so.cache')][0]",
        "IndexError",
    ),
    Attempt("variable_data", "found = os.listdir('/var')", _OUTSIDE),
    Attempt("run_folder", "found = os.listdir('/run')", _OUTSIDE),
    Attempt("write_usr", _write("/usr/bin/x"), "OSError"),
    Attempt("write_root", "os.mkdir('/x')", "OSError"),
    Attempt("write_etc", _write("/etc/x"), "OSError"),
    Attempt("write_dev", _write("/dev/x"), "OSError"),
    Attempt("change_program", "os.chmod('/usr/bin/env', 0o777)", "OSError"),
    Attempt("symlink", "os.symlink('/etc/shadow', 'link'); " + _open("link"), _OUTSIDE),
    Attempt("hard_link", "os.link('/usr/bin/env', 'linked')", "OSError"),
    Attempt("dot_dot", _open("../" * 20 + "etc/shadow"), _OUTSIDE),
    Attempt("long_name", "open('x' * 256, 'w')", "OSError"),
    # Devices and the kernel's file systems.
    Attempt(
        "make_device", "os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))", "PermissionError"
    ),
    Attempt("memory_device", _open("/dev/mem"), _OUTSIDE),
    Attempt("kernel_log", _open("/dev/kmsg"), _OUTSIDE),
    Attempt("terminal", _open("/dev/tty"), _OUTSIDE),
    Attempt("fuse", _open("/dev/fuse"), _OUTSIDE),
    Attempt("kvm", _open("/dev/kvm"), _OUTSIDE),
    Attempt("memory_of_the_parent", _open("/proc/1/mem"), _OUTSIDE),
    Attempt("environment_of_others", _open("/proc/1/environ"), _OUTSIDE),
    Attempt("own_process", _open("/proc/self/maps"), _OUTSIDE),
    Attempt("kernel_settings", _write("/proc/sys/kernel/core_pattern"), _OUTSIDE),
    Attempt("kernel_trigger", _write("/proc/sysrq-trigger"), _OUTSIDE),
    Attempt("sysfs", "found = os.listdir('/sys')", _OUTSIDE),
    # Other processes.
    Attempt("signal_the_worker", "os.kill({pid}, 0)", "ProcessLookupError"),
    Attempt("end_the_driver", "os.kill(1, 9); os.kill(1, 19); raise EOFError", "EOFError"),
    Attempt("trace", _call(101, 117, 16, 1), "EPERM"),
    Attempt("trace_me", _call(101, 117, 0), "EPERM"),
    Attempt("read_memory", _call(310, 270, 1, 0, 0, 0, 0, 0), "EPERM"),
    Attempt("write_memory", _call(311, 271, 1, 0, 0, 0, 0, 0), "EPERM"),
    Attempt(
        "limits_of_the_driver",
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))",
        "PermissionError",
    ),
    # Privileges.
    Attempt("become_root", "os.setuid(0)", "OSError"),
    Attempt("group_of_root", "os.setgid(0)", "OSError"),
    Attempt("new_privileges", "found = 1 // (1 - prctl(39))", "ZeroDivisionError"),
    Attempt("capabilities", "found = [c for c in range(41) if prctl(23, c) == 1][0]", "IndexError"),
    Attempt("raise_limit", "resource.setrlimit(resource.RLIMIT_NPROC, (999, 999))", "ValueError"),
    Attempt("raise_cpu", "resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))", "ValueError"),
    Attempt("mount", _call(165, 40, 0, 0, 0, 0, 0), "EPERM"),
    Attempt("unmount", _call(166, 39, 0, 0), "EPERM"),
    Attempt("new_mount", _call(430, 430, 0, 0), "EPERM"),
    Attempt("chroot", "os.chroot('/tmp')", "PermissionError"),
    Attempt("user_namespace", _call(272, 97, 0x10000000), "EPERM"),
    Attempt("clone_namespace", _call(56, 220, 0x10000011, 0, 0, 0, 0), "EPERM"),
    Attempt("clone3", _call(435, 435, 0, 0), "ENOSYS"),
    Attempt("enter_namespace", _call(308, 268, 0, 0), "EPERM"),
    Attempt("host_name", "socket.sethostname('x')", "PermissionError"),
    Attempt("keys", _call(250, 219, 0, -3, 1), "EPERM"),
    Attempt("bpf", _call(321, 280, 0, 0, 0), "EPERM"),
    Attempt("perf_events", _call(298, 241, 0, 0, -1, -1, 0), "EPERM"),
    Attempt("page_faults", _call(323, 282, 1), "EPERM"),
    Attempt("io_uring", _call(425, 425, 1, 0), "EPERM"),
    Attempt("kexec", _call(246, 104, 0, 0, 0, 0), "EPERM"),
    Attempt("new_call", _call(463, 463, 0, 0, 0), "ENOSYS"),
    Attempt("type_into_terminal", "fcntl.ioctl(0, 0x5412, b'x')", "PermissionError"),
    Attempt("console", "fcntl.ioctl(0, 0x541C, b'x')", "PermissionError"),
    # The machine's resources.
    Attempt("memory", "found = bytearray(1 << 30)", "MemoryError"),
    Attempt("hidden_memory", "os.memfd_create('x')", "PermissionError"),
    Attempt("shared_memory", _call(29, 194, 0, 4096, 0o1600), "EPERM"),
    Attempt("message_queue", _call(68, 186, 0, 0o1600), "EPERM"),
    Attempt("processes", "fork_many(200)", "BlockingIOError"),
    Attempt("threads", "start_many(200)", "RuntimeError"),
    Attempt("open_files", "found = [os.open('/', 0) for _ in range(1000)]", "OSError"),
    Attempt(
        "disk", "for each in range(9): open(f'f{each}', 'wb').write(bytes(2 << 20))", "OSError"
    ),
    Attempt("sparse_file", "os.truncate(os.open('s', os.O_CREAT | os.O_RDWR), 1 << 40)", "OSError"),
    Attempt("device_memory", "open('/dev/shm/x', 'wb').write(bytes(17 << 20))", "OSError"),
]
"""More than forty attempts. Numbers of system calls are those of x86_64 and of aarch64."""

_HARNESS = """
import ctypes, errno, fcntl, json, os, resource, signal, socket, stat, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)

def call(x86, arm, *arguments):
    number = x86 if os.uname().machine == "x86_64" else arm
    if libc.syscall(number, *map(ctypes.c_long, arguments)) < 0:
        error = ctypes.get_errno()
        raise type(errno.errorcode[error], (Exception,), {})()

def prctl(option, argument=0):
    return libc.prctl(option, argument, 0, 0, 0)

def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return descriptor != writing

def fork_many(count):
    for _ in range(count):
        if not os.fork():
            signal.pause()

def start_many(count):
    wait = threading.Event().wait
    for _ in range(count):
        threading.Thread(target=wait, daemon=True).start()

results = {}
for name, code in ATTEMPTS:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        signal.alarm(10)
        os.close(reading)
        try:
            found = None
            exec(code)
            text = f"reached {found!r}"
        except BaseException as error:
            text = type(error).__name__
        os.write(writing, text[:200].encode())
        os.killpg(0, signal.SIGKILL)
    os.close(writing)
    os.waitpid(pid, 0)
    results[name] = os.read(reading, 300).decode()
    os.close(reading)
    for file in os.listdir("."):
        if os.path.basename(__file__) != file:
            os.unlink(file)
print(json.dumps(results))
"""


def harness(**places: object) -> str:
    """The code that makes all attempts.

    Args:
        places: What attempts reach for, by the names in their braces.
    """
    attempts = [(each.id, _filled(each.code, places)) for each in ATTEMPTS]
    return f"ATTEMPTS = {json.dumps(attempts)}\n{_HARNESS}"


def _filled(code: str, places: dict[str, object]) -> str:
    for name, value in places.items():
        code = code.replace(f"{{{name}}}", str(value)).replace(f"{{{name}!r}}", repr(value))
    return code
