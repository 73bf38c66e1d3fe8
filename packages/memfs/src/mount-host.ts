/** What is mounted, where and how. */
export interface MountRequest {
  readonly fileSystem: 'tmpfs' | 'ramfs';
  /** A name of its own in every mount table, by which copies are found again. */
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** One mount namespace of the host, seen through one of its processes. */
export interface MountNamespace {
  /** As the kernel names it, `mnt:[4026531841]`. */
  readonly id: string;
  readonly pid: number;
  readonly mountInfo: string;
}

/** What this package needs of the host; `SystemMountHost` is the real one. */
export interface MountHost {
  /** True when this process may try to mount. */
  readonly canMount: boolean;
  /**
   * Mounts, not shared with other namespaces.
   * @throws CV_MOUNT_DENIED with the reason that the host gave
   */
  mount(request: MountRequest): Promise<void>;
  /**
   * Gives a mounted tmpfs another limit, in bytes.
   * @throws CV_MOUNT_DENIED
   */
  resize(target: string, sizeBytes: number): Promise<void>;
  /**
   * Unmounts, never lazily.
   * @throws CV_MOUNT_DENIED also when the mount is busy
   */
  unmount(target: string): Promise<void>;
  /** The number by which statfs names the type of the file system at `path`. */
  fileSystemType(path: string): number;
  /** Text of `/proc/self/mountinfo`. */
  mountInfo(): string;
  /** Text of `/proc/swaps`. */
  swaps(): string;
  /** Every mount namespace that this process may look into, its own among them. */
  mountNamespaces(): Iterable<MountNamespace>;
}
