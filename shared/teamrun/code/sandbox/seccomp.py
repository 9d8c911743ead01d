"""The system calls that code in a sandbox may not make, as a seccomp filter.

A filter is a program of the classic BPF machine, 8 bytes per instruction, which the kernel runs at
each system call. Sources: seccomp(2), `linux/filter.h`, `linux/seccomp.h`, and the system call
tables of the kernel. bubblewrap loads it (`--seccomp`) right before it executes the command.
"""

import errno
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["MACHINES", "seccomp_filter"]


class _Machine(NamedTuple):
    audit: int
    """The architecture as the kernel reports it (`linux/audit.h`)."""
    column: int
    """Its column of `_DENIED`."""


MACHINES: Final[Mapping[str, _Machine]] = {
    "x86_64": _Machine(0xC000003E, 0),
    "aarch64": _Machine(0xC00000B7, 1),
}
"""The machines, by `os.uname().machine`, whose system calls are known."""

_NEWEST: Final = 456
"""`futex_requeue` of Linux 6.7. Later system calls do not exist in the sandbox."""

_DENIED: Final[Mapping[str, tuple[int | None, int | None]]] = {
    # Other processes. `/proc` is not mounted, so these would be the only way to them.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    # Mounts and namespaces.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # The kernel's keys, programs, events and modules: seldom needed, and often broken.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "lookup_dcookie": (212, 18),
    "syslog": (103, 116),
    # The machine.
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Memory that no limit of a process counts.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
}
"""System calls that fail with EPERM: their numbers on the two machines."""

_CLONE3: Final = 435
_CLONE: Final = (56, 220)
_SOCKET: Final = (41, 198)
_SOCKETPAIR: Final = (53, 199)
_IOCTL: Final = (16, 29)
_PRLIMIT: Final = (302, 261)

_AF_UNIX: Final = 1
_NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of `linux/sched.h`."""
_TERMINAL_INPUT: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which write to a terminal as if a person had typed."""

_LOAD, _EQUAL, _GREATER, _ANY, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERROR: Final = 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

_Program = list[tuple[int, int, int, int]]


def seccomp_filter(machine: str) -> bytes:
    """The filter for a machine of `MACHINES`.

    Raises:
        KeyError: The machine is not one of them.
    """
    audit, column = MACHINES[machine]
    program: _Program = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        # Those of the x32 interface of x86_64, too: their numbers begin at 2**30.
        (_GREATER, 0, 1, _NEWEST),
        _fail(errno.ENOSYS),
        # Its flags are in memory, where no filter sees them; the C library then uses clone.
        (_EQUAL, 0, 1, _CLONE3),
        _fail(errno.ENOSYS),
    ]
    for numbers in _DENIED.values():
        if (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, number), _fail(errno.EPERM)]
    program += _if(_CLONE[column], 0, (_ANY, 0, 1, _NEW_NAMESPACES), _fail(errno.EPERM))
    for call in (_SOCKET, _SOCKETPAIR):
        program += _if(call[column], 0, (_EQUAL, 1, 0, _AF_UNIX), _fail(errno.EAFNOSUPPORT))
    for request in _TERMINAL_INPUT:
        program += _if(_IOCTL[column], 1, (_EQUAL, 0, 1, request), _fail(errno.EPERM))
    # The limits of another process; those of the caller itself are argument 0.
    program += _if(_PRLIMIT[column], 0, (_EQUAL, 1, 0, 0), _fail(errno.EPERM))
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _fail(number: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERROR | number)


def _if(number: int, argument: int, *test: tuple[int, int, int, int]) -> _Program:
    """A test of the low 32 bits of an argument of one system call."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        *test,
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
