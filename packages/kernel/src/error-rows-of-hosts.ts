/** What is wrong with a host, with stored bytes, or with Conclave itself; sorted by code. */
export const HOST_ERRORS = {
  CV_CLOCK_SKEW: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'The clock of this host is too far from the cluster.',
    next: 'Set the clock, then repeat the command.',
  },
  CV_DATA_DIR_IN_USE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'Another daemon already uses this data folder.',
    next: 'Stop it, or give this one its own --data-dir.',
  },
  CV_DATA_DIR_LOOSE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'The data folder is readable by others.',
    next: 'chmod 700 the folder and check what was in it.',
  },
  CV_DISK_FULL: {
    kind: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    when: 'The disk of the manager has no room for another write.',
    next: 'Free space on the data folder; writes resume by themselves.',
  },
  CV_DISK_ROLLED_BACK: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'The disk of this manager is an older copy: others have seen later writes of it.',
    next: 'Keep the files, remove this manager, and let it join anew.',
  },
  CV_ENVELOPE_FORGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'Sealed bytes do not open under their key and position.',
    next: 'Do not retry; compare with the other managers.',
  },
  CV_ENVIRONMENT_REFUSED: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'A variable or flag in the environment would weaken the process.',
    next: 'Unset the variable that the message names.',
  },
  CV_EXECUTOR_FAILED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'A command could not be started on the host.',
    next: 'Read the message; check the command and its user.',
  },
  CV_INTERNAL: {
    kind: 'defect',
    status: 'INTERNAL',
    when: 'A defect of Conclave.',
    next: 'Report it with the log lines around its time.',
  },
  CV_LOG_DAMAGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'A stored record fails its check and is not a torn tail.',
    next: 'Keep the files, remove this manager, and let it join anew.',
  },
  CV_MOUNT_DENIED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'The host refuses to mount a memory file system.',
    next: 'Run as root, or allow user namespaces.',
  },
  CV_NOT_MEMORY_FS: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'A folder that must be in memory is on a disk or may be swapped.',
    next: 'Use a folder on tmpfs or ramfs.',
  },
  CV_SNAPSHOT_DAMAGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'A snapshot does not match its check sum or order.',
    next: 'It is sent again; look for a failing disk.',
  },
  CV_SOCKET_IN_USE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'Another daemon answers on this socket or port.',
    next: 'Stop it, or choose another.',
  },
  CV_STORE_FAILED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'The disk refused a write; the manager stops.',
    next: 'Check the disk, then start the manager again.',
  },
  CV_UNLOCK_FAILED: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'What should open the keys at start cannot be used or gave a wrong answer.',
    next: 'Check the command and what it talks to, or run `conclave unlock` with the recovery key.',
  },
} as const;
