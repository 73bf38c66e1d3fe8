import { createId, SILENT_LOGGER } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { generateNodeKey } from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { createRecoveryKit, openSealed, SecretBytes } from '@conclave/sealed';
import { decodeCommand, encodeCommand } from '@conclave/state';
import type {
  JoiningNode,
  Actor,
  AdminRow,
  CertificateRow,
  CommandBody,
  CommandResult,
  NodeRow,
  State,
  TokenRow,
} from '@conclave/state';
import { Proposer } from '../src/consensus/proposer.js';
import { ReplicatedState } from '../src/consensus/replicated-state.js';
import { foundCluster } from '../src/founding.js';
import type { Founding } from '../src/founding.js';
import type { FileVault } from '../src/keys/file-vault.js';
import { createFreshKeys, createLocalKey, ManagerKeys } from '../src/keys/manager-keys.js';
import type { FreshKeys, NewKeys } from '../src/keys/manager-keys.js';
import { MemorySnapshots } from './consensus/memory-snapshots.js';
import { seededRandom } from './scheduling/cluster.js';
import { SimulatedTime } from './simulated-time.js';

export const CLUSTER_ID = 'caaaaaaaaaaaaaaaaaaaaaaaaa';
export const FOUNDER_ID = 'maaaaaaaaaaaaaaaaaaaaaaaaa';
export const SYSTEM: Actor = { kind: 'system', id: 'test' };

/** Files of a host in memory. */
export class MemoryVault implements FileVault {
  readonly files = new Map<string, Uint8Array>();

  read(name: string): Promise<Uint8Array | undefined> {
    const content = this.files.get(name);
    return Promise.resolve(content && Uint8Array.from(content));
  }

  write(name: string, content: Uint8Array): Promise<void> {
    this.files.set(name, Uint8Array.from(content));
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    for (const file of this.files.keys()) {
      if (file === name || file.startsWith(`${name}/`)) this.files.delete(file);
    }
    return Promise.resolve();
  }
}

/** What a manager stores of itself, with a TLS key that nobody uses. */
export function newKeys(fresh: FreshKeys, random: Random): NewKeys {
  return { fresh, tlsKey: SecretBytes.random(random, 200), localKey: createLocalKey(random) };
}

interface FoundParts {
  readonly keys: ManagerKeys;
  readonly founding: Founding;
  readonly founderKey: NodeKey;
  readonly vault: MemoryVault;
}

/** Root and first certificate take a quarter of a second: made once for all tests of a file. */
let found: Promise<FoundParts> | undefined;

async function foundOnce(): Promise<FoundParts> {
  await openSealed();
  const random = seededRandom(5);
  const founderKey = generateNodeKey();
  const fresh = createFreshKeys(random);
  const vault = new MemoryVault();
  const owner = { clusterId: CLUSTER_ID, nodeId: FOUNDER_ID };
  const founding = await foundCluster(
    {
      ...owner,
      raftId: 1,
      hostname: 'alpha',
      platformOs: 'linux',
      version: '1.0.0',
      clusterAddress: '127.0.0.1:7420',
      joinAddress: '127.0.0.1:7421',
      publicKey: founderKey.spkiDer,
      keys: fresh,
      recovery: { generation: 1, ...createRecoveryKit(random).recipient },
    },
    new SimulatedTime(),
    random,
  );
  const keys = await ManagerKeys.create(vault, owner, newKeys(fresh, random), random);
  await keys.saveRing(founding.ring);
  return { keys, founding, founderKey, vault };
}

/** A cluster of one manager with real keys, certificates and tables; Raft is a counter. */
export class FoundedCluster {
  readonly time = new SimulatedTime();
  readonly random: Random = seededRandom(11);
  readonly replicated: ReplicatedState;
  readonly snapshots = new MemorySnapshots();
  readonly vault = new MemoryVault();
  readonly keys: ManagerKeys;
  readonly founding: Founding;
  readonly founderKey: NodeKey;
  readonly proposals: CommandBody[] = [];
  /** Thrown instead of committing, while set. */
  failure: Error | undefined;
  readonly proposer: Proposer;
  #index = 0;

  private constructor(parts: Omit<FoundParts, 'vault'>) {
    this.keys = parts.keys;
    this.founding = parts.founding;
    this.founderKey = parts.founderKey;
    this.replicated = new ReplicatedState({
      snapshots: this.snapshots,
      random: this.random,
      logger: SILENT_LOGGER,
    });
    this.proposer = new Proposer(
      {
        isLeader: () => true,
        propose: async ({ atMs, by, request, ...body }) => {
          await Promise.resolve();
          if (this.failure !== undefined) throw this.failure;
          this.proposals.push(body);
          const result = this.#apply({ atMs, by, request, ...body } as never);
          return { index: this.#index, result };
        },
        awaitLeader: () => Promise.resolve(1),
        awaitApplied: () => Promise.resolve(),
        pause: () => Promise.resolve(),
      },
      () => Promise.reject(new Error('there is no other manager')),
      this.time,
    );
  }

  static async create(): Promise<FoundedCluster> {
    found ??= foundOnce();
    const { vault, ...parts } = await found;
    const cluster = new FoundedCluster(parts);
    for (const [name, content] of vault.files) cluster.vault.files.set(name, content);
    return cluster;
  }

  /** As {@link create}, with the first entry applied. */
  static async running(): Promise<FoundedCluster> {
    const cluster = await FoundedCluster.create();
    cluster.apply(cluster.founding.body);
    return cluster;
  }

  get state(): State {
    return this.replicated.state;
  }

  /** Commits; refusals fail the test. */
  apply(body: CommandBody): CommandResult {
    const result = this.#apply({
      ...body,
      atMs: this.time.now(),
      by: SYSTEM,
      request: undefined,
    } as never);
    if (!result.ok) throw new Error(`refused: ${result.code} ${result.message}`);
    return result;
  }

  /** A worker that joined. */
  addWorker(name: string, fields: Partial<NodeRow> = {}): string {
    return this.#join(name, fields, { role: 'worker', needsApproval: false });
  }

  /** A worker that has joined and was not approved. */
  addWaiting(name: string, fields: Partial<NodeRow> = {}): string {
    return this.#join(name, fields, { role: 'worker', needsApproval: true });
  }

  /** A manager that has joined and was not made a voter yet. */
  addManager(name: string, raftId: number, needsApproval = false): string {
    const founder = this.state.nodeById(FOUNDER_ID)?.manager;
    if (founder === undefined) throw new Error('no founder');
    const manager = { ...founder, raftId, membership: 'joining', ringGeneration: 0 } as const;
    return this.#join(name, { manager }, { role: 'manager', needsApproval });
  }

  #join(
    name: string,
    fields: Partial<NodeRow>,
    token: Pick<TokenRow, 'role' | 'needsApproval'>,
  ): string {
    const id = name.padEnd(26, 'a');
    const tokenId = createId(this.random);
    this.apply({
      kind: 'token.create',
      token: {
        id: tokenId,
        ...token,
        publicKey: new Uint8Array(32).fill(1),
        createdAtMs: this.time.now(),
        createdBy: SYSTEM,
        expiresAtMs: this.time.now() + 60_000,
        usesLeft: 1,
        addressRanges: [],
        hostnamePattern: '',
        isRevoked: false,
        admittedNodes: [],
      },
    });
    this.apply({ kind: 'node.join', tokenId, node: { ...workerRow(id, name), ...fields } });
    return id;
  }

  /** An administrator with a certificate. */
  addAdmin(name: string, roles: AdminRow['roles'], fields: Partial<AdminRow> = {}): void {
    const admin = {
      id: name,
      name,
      roles,
      uses: [],
      ttlMs: 3_600_000,
      certificate: certificateOf(name),
      previousCertificate: undefined,
      previousUntilMs: 0,
      isRevoked: false,
      createdAtMs: 0,
      createdBy: SYSTEM,
      ...fields,
    };
    this.apply({ kind: 'admin.create', admin });
  }

  #apply(command: Parameters<typeof encodeCommand>[0]): CommandResult {
    this.#index += 1;
    return this.state.apply(this.#index, decodeCommand(encodeCommand(command)));
  }
}

/** A certificate on record, for a key of its own. */
function certificateOf(name: string): CertificateRow {
  const publicKeyHash = Buffer.from(`key of ${name}`).toString('hex');
  return { serial: `serial-${name}`, notAfterMs: 2e12, publicKeyHash, root: 1, notBeforeMs: 0 };
}

function workerRow(id: string, name: string): JoiningNode {
  return {
    id,
    hostname: name,
    state: 'READY',
    stateAtMs: 0,
    message: '',
    availability: 'active',
    labels: {},
    platformOs: 'linux',
    daemonVersion: '1.0.0',
    executors: ['process'],
    certificate: certificateOf(name),
    previousCertificate: undefined,
    previousUntilMs: 0,
    manager: undefined,
    sessionId: '',
    rootStep: 0,
    sessionCount: 0,
    createdAtMs: 0,
  };
}

/** Runs what is waiting in promises. */
export async function settle(turns = 40): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
}
