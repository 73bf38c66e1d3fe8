import type {
  AdminRow,
  ClusterRow,
  NodeRow,
  ReceiptRow,
  SecretRow,
  SecretVersionRow,
  ServiceRow,
  TaskRow,
  TokenRow,
} from './rows.js';

/** What happened to a row. */
export type ChangeAction = 'created' | 'updated' | 'removed';

/** One changed row: `before` is undefined when created, `after` when removed. */
export interface RowChange<Row> {
  readonly action: ChangeAction;
  readonly id: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

interface ChangeOf<Kind extends string, Row> extends RowChange<Row> {
  readonly kind: Kind;
}

/** A version without its sealed bytes: a change must not keep what was destroyed. */
export type SecretVersionInfo = Omit<SecretVersionRow, 'sealed'> & {
  readonly isDestroyed: boolean;
  /** Version of the key ring that its data key is wrapped under; 0 when destroyed. */
  readonly keyId: number;
};

/**
 * A change of one row. Ids: `secretId@version` of a version, `taskId/target` of a receipt, else the
 * id of the row.
 */
export type Change =
  | ChangeOf<'cluster', ClusterRow>
  | ChangeOf<'secret', SecretRow>
  | ChangeOf<'version', SecretVersionInfo>
  | ChangeOf<'service', ServiceRow>
  | ChangeOf<'task', TaskRow>
  | ChangeOf<'node', NodeRow>
  | ChangeOf<'token', TokenRow>
  | ChangeOf<'admin', AdminRow>
  | ChangeOf<'receipt', ReceiptRow>;

/** All changes of one entry, in the order in which they were made; never empty. */
export interface ChangeBatch {
  readonly index: number;
  readonly changes: readonly Change[];
}
