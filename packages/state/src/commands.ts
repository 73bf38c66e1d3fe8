import type {
  Actor,
  AdminRow,
  CertificateRow,
  CertificateSettings,
  ClusterRow,
  ManagerRow,
  NodeRow,
  ReceiptRow,
  RecoveryRow,
  RootRow,
  SealedValueRow,
  ServiceSpec,
  TaskState,
  TokenRow,
} from './rows.js';

/**
 * What a log entry may say. Ids and times were drawn by the leader before it proposed; apply never
 * draws anything. Preconditions are decided in apply, where order is final; a refused command
 * changes nothing and answers with a code of kernel's table.
 */
export interface CommandBase {
  /** Leader's clock at proposal, milliseconds since 1970. */
  readonly atMs: number;
  readonly by: Actor;
  /** With a key, a repetition answers what the first one did. */
  readonly request: { readonly key: string; readonly fingerprint: string } | undefined;
}

export type Command = CommandBase & CommandBody;

export type CommandBody =
  | {
      readonly kind: 'cluster.create';
      readonly cluster: Omit<ClusterRow, 'objectVersion'>;
      readonly node: Omit<NodeRow, 'objectVersion'>;
    }
  | {
      readonly kind: 'cluster.settings';
      /** Of the cluster's row when the caller read it; 0: whatever it is. */
      readonly objectVersion: number;
      /** What is undefined stays. */
      readonly certificates: {
        readonly [Name in keyof CertificateSettings]: number | undefined;
      };
    }
  // --- the key ring, in the order of a rotation; only the first is asked for by a person
  | { readonly kind: 'ring.rotate' }
  | { readonly kind: 'ring.offer'; readonly keyId: number; readonly commitment: Uint8Array }
  | { readonly kind: 'ring.activate'; readonly keyId: number }
  | {
      readonly kind: 'ring.rewrap';
      readonly keyId: number;
      /** Those that are gone, or are under this version already, are skipped. */
      readonly versions: readonly RewrappedVersion[];
      /** Undefined: not in this batch. */
      readonly rootKeySealed: Uint8Array | undefined;
    }
  | { readonly kind: 'ring.retire'; readonly keyId: number }
  | { readonly kind: 'ring.finish'; readonly keyId: number }
  // --- the root certificate, in the order of a rotation; only the first is asked for by a person
  | {
      readonly kind: 'root.rotate';
      /** No root of before may vouch for the new one: who was off for long joins anew. */
      readonly distrustsFormer: boolean;
    }
  | {
      readonly kind: 'root.offer';
      readonly next: RootRow;
      /** Its key, certified by the root in force. */
      readonly crossCertificate: Uint8Array;
    }
  | { readonly kind: 'root.activate'; readonly step: number }
  | { readonly kind: 'root.drop'; readonly step: number }
  | { readonly kind: 'root.finish'; readonly step: number }
  // --- the recovery key: staged, sealed to by every manager, confirmed by its owner
  | { readonly kind: 'recovery.stage'; readonly recovery: Omit<RecoveryRow, 'generation'> }
  | { readonly kind: 'recovery.sealed'; readonly id: string; readonly generation: number }
  | { readonly kind: 'recovery.confirm'; readonly generation: number }
  // --- after a compromise
  | {
      readonly kind: 'compromise.begin';
      /** Ids of nodes. */
      readonly evict: readonly string[];
      /** The certificates of all administrators end. */
      readonly endsAdmins: boolean;
    }
  | { readonly kind: 'compromise.finish' }
  // --- secrets
  | {
      readonly kind: 'secret.set';
      /** Id for the case that the name is new. */
      readonly newId: string;
      readonly name: string;
      /**
       * Sealed for `secretId` and `version`: the leader seals for what it expects next; when another
       * entry came in between, apply answers CV_VERSION_STALE with `details.retry` and the leader
       * seals again.
       */
      readonly secretId: string;
      readonly version: number;
      readonly sealed: SealedValueRow;
      /** Under the version of the ring that it is sealed under. */
      readonly digest: Uint8Array;
      /** Under the version of the ring that the current value is under, where there is one. */
      readonly compared: { readonly keyId: number; readonly digest: Uint8Array } | undefined;
      readonly labels: Readonly<Record<string, string>>;
      readonly description: string;
      readonly createOnly: boolean;
      readonly force: boolean;
      /** 0: whatever is current. */
      readonly objectVersion: number;
    }
  | {
      readonly kind: 'secret.update';
      readonly id: string;
      readonly objectVersion: number;
      readonly labels: Readonly<Record<string, string>>;
      readonly description: string;
    }
  | {
      readonly kind: 'secret.rollback';
      readonly id: string;
      /** 0: the previous one */ readonly version: number;
    }
  | {
      readonly kind: 'secret.destroy-version';
      readonly id: string;
      readonly version: number;
      readonly force: boolean;
    }
  | { readonly kind: 'secret.remove'; readonly id: string }
  // --- services
  | { readonly kind: 'service.create'; readonly id: string; readonly spec: ServiceSpec }
  | {
      readonly kind: 'service.update';
      readonly id: string;
      readonly spec: ServiceSpec;
      /** 0: whatever is current */ readonly objectVersion: number;
    }
  | {
      readonly kind: 'service.update-state';
      readonly id: string;
      readonly specVersion: number;
      readonly state: 'updating' | 'paused' | 'completed';
      readonly message: string;
    }
  /** Back to the spec before, or paused when what that binds is not there any more. */
  | {
      readonly kind: 'service.rollback';
      readonly id: string;
      readonly specVersion: number;
      readonly reason: string;
    }
  | { readonly kind: 'service.remove'; readonly id: string }
  // --- tasks: what the scheduler decides, one entry per round
  | { readonly kind: 'tasks.schedule'; readonly changes: readonly TaskChange[] }
  // --- what agents report; refused lines are skipped, the others applied
  | { readonly kind: 'tasks.report'; readonly reports: readonly TaskReport[] }
  | {
      readonly kind: 'receipts.report';
      readonly receipts: readonly (Omit<ReceiptRow, 'index'> & { readonly nodeId: string })[];
    }
  // --- nodes and membership
  | {
      readonly kind: 'node.join';
      /** Consumes one use of the token and creates the node, or does neither. Role from the record. */
      readonly tokenId: string;
      readonly node: JoiningNode;
    }
  | {
      readonly kind: 'node.update';
      readonly id: string;
      readonly objectVersion: number;
      readonly availability: NodeRow['availability'] | undefined;
      readonly labelsSet: Readonly<Record<string, string>>;
      readonly labelsRemove: readonly string[];
    }
  | {
      readonly kind: 'node.renew';
      readonly id: string;
      /**
       * Serial of the certificate with which the node asked: it is in use and stays accepted for a
       * while. When the answer to an earlier renewal was lost it is not the newest one.
       */
      readonly usedSerial: string;
      readonly certificate: CertificateRow;
      readonly previousUntilMs: number;
    }
  | {
      readonly kind: 'node.root';
      readonly id: string;
      /** The node trusts what this step of the roots asks for. */
      readonly step: number;
      /** Serial of the certificate with which it says so: the one that it uses. */
      readonly serial: string;
    }
  | { readonly kind: 'nodes.observe'; readonly nodes: readonly NodeObservation[] }
  | {
      readonly kind: 'node.membership';
      readonly id: string;
      /** Undefined: unchanged. */
      readonly membership: 'learner' | 'voter' | 'removing' | undefined;
      readonly ringGeneration: number | undefined;
    }
  | {
      readonly kind: 'node.addresses';
      readonly id: string;
      readonly clusterAddress: string;
      readonly joinAddress: string;
    }
  | { readonly kind: 'node.remove'; readonly id: string; readonly force: boolean }
  | { readonly kind: 'node.approve'; readonly id: string }
  // --- roles: decided, then carried out by the node (equip) or the leader (demoted)
  | { readonly kind: 'node.set-role'; readonly id: string; readonly role: NodeRow['role'] }
  | {
      readonly kind: 'node.equip';
      readonly id: string;
      /** Serial of the worker's certificate with which the node asked. */
      readonly usedSerial: string;
      readonly certificate: CertificateRow;
      readonly manager: Omit<ManagerRow, 'membership' | 'ringGeneration'>;
    }
  | { readonly kind: 'node.demoted'; readonly id: string }
  // --- tokens
  | { readonly kind: 'token.create'; readonly token: Omit<TokenRow, 'objectVersion'> }
  | { readonly kind: 'token.revoke'; readonly id: string }
  // --- administrators
  | { readonly kind: 'admin.create'; readonly admin: Omit<AdminRow, 'objectVersion'> }
  | {
      readonly kind: 'admin.renew';
      readonly id: string;
      /** Serial of the certificate with which it asked. */
      readonly usedSerial: string;
      readonly certificate: CertificateRow;
      readonly previousUntilMs: number;
    }
  | { readonly kind: 'admin.revoke'; readonly id: string };

/** A node before apply has given it what its token says. */
export type JoiningNode = Omit<
  NodeRow,
  'objectVersion' | 'role' | 'wantedRole' | 'waiting' | 'tokenId'
>;

/** A version of a secret whose data key moves to another version of the ring. */
export interface RewrappedVersion {
  readonly secretId: string;
  readonly version: number;
  readonly wrappedDek: Uint8Array;
  /** Under the new version of the ring too. */
  readonly digest: Uint8Array;
}

export type TaskChange =
  | {
      readonly kind: 'create';
      readonly id: string;
      readonly serviceId: string;
      readonly slot: number;
      readonly nodeId: string;
      /** Service's specVersion that it was made for; stale ones are skipped. */
      readonly specVersion: number;
      readonly notBeforeMs: number;
      readonly message: string;
    }
  /** NEW/PENDING to ASSIGNED; skipped when the task or node is not as it was. */
  | { readonly kind: 'assign'; readonly id: string; readonly nodeId: string }
  /** Why it still waits. */
  | { readonly kind: 'explain'; readonly id: string; readonly message: string }
  | { readonly kind: 'desire'; readonly id: string; readonly desiredState: 'SHUTDOWN' | 'REMOVE' }
  /** Ends a task that no agent answers for: never assigned, or its node is gone. */
  | {
      readonly kind: 'end';
      readonly id: string;
      readonly state: 'SHUTDOWN' | 'ORPHANED' | 'REJECTED' | 'FAILED';
      readonly message: string;
    }
  | { readonly kind: 'delete'; readonly id: string };

export interface TaskReport {
  readonly nodeId: string;
  readonly taskId: string;
  readonly state: TaskState;
  readonly message: string;
  readonly error: string;
  readonly exitCode: number | undefined;
  readonly atMs: number;
}

export interface NodeObservation {
  readonly id: string;
  readonly state: 'READY' | 'DOWN';
  readonly message: string;
  /** With a new session: its identity, and what the agent may say of itself. */
  readonly session:
    | {
        readonly id: string;
        readonly daemonVersion: string;
        readonly executors: readonly string[];
      }
    | undefined;
}
