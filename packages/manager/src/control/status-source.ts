/** One manager as this one sees it. */
export interface ManagerReach {
  readonly nodeId: string;
  readonly isReachable: boolean;
  /** Newest log index that it is known to hold; 0: unknown. */
  readonly matchIndex: number;
}

/** What consensus knows on this manager, without asking anybody. */
export interface ConsensusStatus {
  /** This manager. */
  readonly nodeId: string;
  /** Empty: none known. */
  readonly leaderId: string;
  readonly term: number;
  readonly commitIndex: number;
  readonly hasQuorum: boolean;
  /** The other managers refuse this one: it was removed. What it knows is of the past. */
  readonly isRefused: boolean;
  /** Node ids of the managers that were found to have another state than this one. */
  readonly diverged: ReadonlySet<string>;
  /** Node ids of those whose role has been changing for longer than that takes. */
  readonly stuck: ReadonlySet<string>;
  readonly managers: readonly ManagerReach[];
}

/** Where the control API learns about consensus. */
export interface StatusSource {
  current(): ConsensusStatus;
}
