import { ConclaveError } from '@conclave/kernel';
import { z } from 'zod';
import type { DataFolder } from './data-folder.js';

const FILE = 'identity.json';
const KEY_FILE = 'identity/key.pem';
const QUARANTINE_FILE = 'quarantine';
const FORMAT = 1;

const base64 = z.base64();

const SCHEMA = z.object({
  format: z.literal(FORMAT),
  clusterId: z.string().min(1),
  nodeId: z.string().min(1),
  role: z.enum(['manager', 'worker']),
  raftId: z.number().int().min(0),
  certificate: base64,
  /** The one in force first. */
  roots: z.array(base64).min(1),
  /** Empty: none. */
  cross: z.union([base64, z.literal('')]),
  managers: z.array(
    z.object({
      nodeId: z.string(),
      raftId: z.number().int().min(0),
      address: z.string(),
      /** Missing where an earlier version has written the file. */
      joinAddress: z.string().default(''),
      signingPublicKey: base64,
    }),
  ),
});

/** A manager as a member remembers it. */
export interface RememberedManager {
  readonly nodeId: string;
  readonly raftId: number;
  readonly address: string;
  /** Where an ended certificate is recovered; empty: not known. */
  readonly joinAddress: string;
  readonly signingPublicKey: Uint8Array;
}

/** Who this host is; nothing secret. */
export interface MemberIdentity {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly role: 'manager' | 'worker';
  /** 0 for a worker. */
  readonly raftId: number;
  readonly certificateDer: Uint8Array;
  /** Roots that it trusts, the one in force first. */
  readonly rootsDer: readonly Uint8Array[];
  /** The key of the newer of two roots, certified by the older one; empty: there is one root. */
  readonly crossDer: Uint8Array;
  readonly managers: readonly RememberedManager[];
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/**
 * The stored identity of this host: one file, and beside it the private key of a worker; that of a
 * manager is sealed with its other keys.
 */
export class IdentityFile {
  readonly #folder: DataFolder;

  constructor(folder: DataFolder) {
    this.#folder = folder;
  }

  /**
   * Undefined on a host that is not a member.
   * @throws CV_LOG_DAMAGED when the file is not what was written
   */
  async read(): Promise<MemberIdentity | undefined> {
    const content = await this.#folder.read(FILE);
    if (content === undefined) return undefined;
    try {
      const stored = SCHEMA.parse(JSON.parse(Buffer.from(content).toString('utf8')));
      return {
        clusterId: stored.clusterId,
        nodeId: stored.nodeId,
        role: stored.role,
        raftId: stored.raftId,
        certificateDer: fromBase64(stored.certificate),
        rootsDer: stored.roots.map(fromBase64),
        crossDer: fromBase64(stored.cross),
        managers: stored.managers.map((manager) => ({
          ...manager,
          signingPublicKey: fromBase64(manager.signingPublicKey),
        })),
      };
    } catch (cause) {
      throw new ConclaveError('CV_LOG_DAMAGED', `the file ${FILE} is damaged`, { cause });
    }
  }

  /** The private TLS key of a worker, PEM; the caller wipes it. */
  async readKey(): Promise<Uint8Array> {
    const key = await this.#folder.read(KEY_FILE);
    if (key !== undefined) return key;
    throw new ConclaveError('CV_LOG_DAMAGED', `the file ${KEY_FILE} is missing`);
  }

  /** Stores a worker's key, then its identity: a crash in between leaves no member. */
  async create(identity: MemberIdentity, privateKeyPem: Uint8Array): Promise<void> {
    await this.#folder.write(KEY_FILE, privateKeyPem);
    await this.write(identity);
  }

  /** Replaces the identity, for example after a renewal. */
  async write(identity: MemberIdentity): Promise<void> {
    const stored: z.infer<typeof SCHEMA> = {
      format: FORMAT,
      clusterId: identity.clusterId,
      nodeId: identity.nodeId,
      role: identity.role,
      raftId: identity.raftId,
      certificate: toBase64(identity.certificateDer),
      roots: identity.rootsDer.map(toBase64),
      cross: toBase64(identity.crossDer),
      managers: identity.managers.map((manager) => ({
        ...manager,
        signingPublicKey: toBase64(manager.signingPublicKey),
      })),
    };
    await this.#folder.write(FILE, Buffer.from(JSON.stringify(stored, undefined, 2)));
  }

  /** Notes that this host must take no part any more, over every restart, and why. */
  async quarantine(reason: string): Promise<void> {
    await this.#folder.write(QUARANTINE_FILE, Buffer.from(reason));
  }

  /** Why this host must take no part; undefined: it may. */
  async readQuarantine(): Promise<string | undefined> {
    const reason = await this.#folder.read(QUARANTINE_FILE);
    return reason === undefined ? undefined : Buffer.from(reason).toString('utf8');
  }

  /** Removes what a change of the role has left of the other one: keys and log, or a worker's key. */
  async keepOnly(role: MemberIdentity['role']): Promise<void> {
    const names = role === 'worker' ? ['keys', 'raft'] : ['identity'];
    for (const name of names) await this.#folder.remove(name);
  }

  /** Forgets who this host was, and every key and record that came with it. */
  async destroy(): Promise<void> {
    // The identity goes first: what is left after a crash belongs to nobody and is cleared.
    for (const name of [FILE, 'identity', 'keys', 'raft', QUARANTINE_FILE]) {
      await this.#folder.remove(name);
    }
  }
}
