/** One metric: its kind, what it counts and by which labels. */
export interface MetricRow {
  /** Histograms count seconds. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Labels have few values, all of them words of ours: never a name that somebody chose. */
  readonly labels: readonly string[];
}

/** Every metric of the product, sorted. `docs/reference/metrics.md` is generated from it. */
export const METRICS = {
  conclave_agent_held_versions: {
    kind: 'gauge',
    help: 'Secret versions that this agent holds in memory.',
    labels: [],
  },
  conclave_agent_session_connected: {
    kind: 'gauge',
    help: '1 while this agent has a session with a manager.',
    labels: [],
  },
  conclave_agent_session_starts_total: {
    kind: 'counter',
    help: 'Sessions that this agent opened.',
    labels: [],
  },
  conclave_agent_tasks: {
    kind: 'gauge',
    help: 'Tasks on this host by state.',
    labels: ['state'],
  },
  conclave_build_info: {
    kind: 'gauge',
    help: '1, with the version of this daemon.',
    labels: ['version', 'role'],
  },
  conclave_certificate_not_after_seconds: {
    kind: 'gauge',
    help: 'Unix time at which the certificate of this host expires.',
    labels: [],
  },
  conclave_cluster_nodes: {
    kind: 'gauge',
    help: 'Nodes by role and state.',
    labels: ['role', 'state'],
  },
  conclave_cluster_secrets: {
    kind: 'gauge',
    help: 'Secrets in committed state.',
    labels: [],
  },
  conclave_cluster_services: {
    kind: 'gauge',
    help: 'Services in committed state.',
    labels: [],
  },
  conclave_cluster_tasks: {
    kind: 'gauge',
    help: 'Tasks in committed state by state.',
    labels: ['state'],
  },
  conclave_connections: {
    kind: 'gauge',
    help: 'Open connections by listener.',
    labels: ['listener'],
  },
  conclave_connections_refused_total: {
    kind: 'counter',
    help: 'Connections that were closed before a call, by listener and reason.',
    labels: ['listener', 'reason'],
  },
  conclave_delivery_seconds: {
    kind: 'histogram',
    help: 'From a committed version to the report that a task has it.',
    labels: [],
  },
  conclave_metric_series_dropped_total: {
    kind: 'counter',
    help: 'Observations that were dropped because their metric has too many label values.',
    labels: [],
  },
  conclave_raft_applied_index: {
    kind: 'gauge',
    help: 'Last log index that this manager applied.',
    labels: [],
  },
  conclave_raft_commit_index: {
    kind: 'gauge',
    help: 'Last log index that this manager knows to be committed.',
    labels: [],
  },
  conclave_raft_is_leader: {
    kind: 'gauge',
    help: '1 while this manager leads.',
    labels: [],
  },
  conclave_raft_leader_changes_total: {
    kind: 'counter',
    help: 'Changes of leader that this manager saw.',
    labels: [],
  },
  conclave_raft_proposal_seconds: {
    kind: 'histogram',
    help: 'From a proposal to its result.',
    labels: [],
  },
  conclave_raft_proposals_total: {
    kind: 'counter',
    help: 'Proposals of this manager by outcome.',
    labels: ['outcome'],
  },
  conclave_raft_snapshots_total: {
    kind: 'counter',
    help: 'Snapshots that were written, sent or restored.',
    labels: ['action', 'outcome'],
  },
  conclave_raft_term: {
    kind: 'gauge',
    help: 'Current term.',
    labels: [],
  },
  conclave_rpc_seconds: {
    kind: 'histogram',
    help: 'Duration of calls with one answer, by method.',
    labels: ['method'],
  },
  conclave_rpc_total: {
    kind: 'counter',
    help: 'Ended calls by method and status.',
    labels: ['method', 'status'],
  },
  conclave_session_count: {
    kind: 'gauge',
    help: 'Agent sessions of this manager.',
    labels: [],
  },
  conclave_store_sync_seconds: {
    kind: 'histogram',
    help: 'Duration of one durable batch of the log.',
    labels: [],
  },
} as const;

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;
/** The names of one kind. */
export type NameOf<Kind extends MetricRow['kind']> = {
  [N in MetricName]: (typeof METRICS)[N]['kind'] extends Kind ? N : never;
}[MetricName];
/** The labels of a metric with their values. */
export type LabelsOf<N extends MetricName> = Readonly<
  Record<(typeof METRICS)[N]['labels'][number], string>
>;
