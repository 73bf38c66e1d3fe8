import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createId, SILENT_LOGGER } from '@conclave/kernel';
import type { AdminRole } from '@conclave/kernel';
import {
  createFreshKeys,
  createLocalKey,
  foundCluster,
  KeySlots,
  ManagerKeys,
  recoveryDraft,
} from '@conclave/manager';
import type { Founding } from '@conclave/manager';
import {
  encodeAdminTranscript,
  generateNodeKey,
  identityOf,
  issueCertificate,
  proveKey,
} from '@conclave/pki';
import type { CertificateSubject } from '@conclave/pki';
import {
  createRecoveryKit,
  createSigningKey,
  openSealed,
  sealIntake,
  SecretBytes,
  TOKEN_ID_BYTES,
} from '@conclave/sealed';
import type { ParsedToken } from '@conclave/sealed';
import { listenLocal, openLocalChannel } from '@conclave/transport';
import type { Channel, Listener, TlsIdentity } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { DataFolder } from '../src/data-folder.js';
import { IdentityFile } from '../src/identity-file.js';
import type { MemberIdentity } from '../src/identity-file.js';
import { joinCluster } from '../src/join-cluster.js';
import { LocalIntake } from '../src/local-intake.js';
import { localServices } from '../src/local-service.js';
import { ManagerMember } from '../src/manager-member.js';
import type { Surroundings } from '../src/member.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../src/platform.js';
import { tlsIdentityOf } from '../src/tls-identity.js';

const CLUSTER_PORT = 7420;
const JOIN_PORT = 7421;
const HOUR_MS = 3_600_000;

/** How a certificate differs from that of the node it names. */
export interface OtherCertificate {
  readonly subject: CertificateSubject;
  readonly serial: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
}

const LOCAL_HOST: Omit<Parameters<typeof localServices>[0], 'slots'> = {
  unlock: () => Promise.resolve({}),
  status: () => ({ state: 'ready' }),
  init: () => Promise.resolve({}),
  join: () => Promise.resolve({}),
  leave: () => Promise.resolve({}),
};

/** A manager as the daemon makes it: own store, own keys, and all three listeners open. */
export class RealManager {
  readonly clusterId: string;
  /** A loopback address of its own. */
  readonly host: string;
  readonly clusterPort: number = CLUSTER_PORT;
  readonly joinPort: number = JOIN_PORT;
  readonly socketPath: string;
  /** What the daemon's own certificate is: that of a manager. */
  readonly identity: TlsIdentity;
  readonly rootDer: Uint8Array;
  readonly admin: Channel;
  readonly #folder: string;
  readonly #founding: Founding;
  readonly #member: ManagerMember;
  readonly #local: Listener;
  readonly #data: DataFolder;

  private constructor(parts: {
    around: Surroundings;
    folder: string;
    founding: Founding;
    identity: MemberIdentity;
    privateKeyPem: Uint8Array;
    member: ManagerMember;
    local: Listener;
  }) {
    this.clusterId = parts.identity.clusterId;
    this.host = parts.around.config.listenHost;
    this.socketPath = parts.local.address;
    this.identity = tlsIdentityOf(parts.identity, parts.privateKeyPem);
    this.rootDer = parts.founding.rootCertificate;
    this.admin = openLocalChannel({
      path: this.socketPath,
      clock: SYSTEM_CLOCK,
      timers: SYSTEM_TIMERS,
    });
    this.#folder = parts.folder;
    this.#founding = parts.founding;
    this.#member = parts.member;
    this.#local = parts.local;
    this.#data = parts.around.folder;
  }

  static async start(): Promise<RealManager> {
    await openSealed();
    const folder = await mkdtemp(join(tmpdir(), 'conclave-manager-'));
    const listenHost = `127.${randomInt(1, 255)}.${randomInt(0, 255)}.${randomInt(1, 255)}`;
    const data = await DataFolder.open(join(folder, 'data'));
    const around: Surroundings = {
      changeRole: () => Promise.resolve(),
      config: {
        dataDir: data.path,
        runDir: folder,
        listenHost,
        clusterPort: CLUSTER_PORT,
        joinPort: JOIN_PORT,
        hostname: 'alpha',
        logLevel: 'error',
        logFormat: 'json',
        allowSwap: true,
        allowedTaskUsers: [],
        deliverySealing: 'hybrid',
      },
      folder: data,
      identityFile: new IdentityFile(data),
      hostname: 'alpha',
      version: '0.0.0',
      clock: SYSTEM_CLOCK,
      timers: SYSTEM_TIMERS,
      random: SYSTEM_RANDOM,
      logger: SILENT_LOGGER,
    };
    const { founding, identity, privateKeyPem, localKey, slots } = await found(around);
    const member = await ManagerMember.start(around, identity, {
      localKey,
      slots,
      founding: founding.body,
    });
    const local = await listenLocal({
      path: join(folder, 'conclave.sock'),
      services: localServices(
        { ...LOCAL_HOST, slots: () => member.slots },
        new LocalIntake(SYSTEM_RANDOM),
        {
          api: () => member.control,
          selfNodeId: () => identity.nodeId,
        },
      ),
      clock: SYSTEM_CLOCK,
      timers: SYSTEM_TIMERS,
      logger: SILENT_LOGGER,
    });
    return new RealManager({ around, folder, founding, identity, privateKeyPem, member, local });
  }

  /** A node that joined through the join listener, with a token of this manager. */
  async join(
    role: 'worker' | 'manager',
    needsApproval = false,
  ): Promise<{ nodeId: string; tls: TlsIdentity }> {
    const { publicKey, privateKey: seed } = createSigningKey(SYSTEM_RANDOM);
    const id = SYSTEM_RANDOM.bytes(TOKEN_ID_BYTES);
    const asked = { role, needsApproval, id, publicKey };
    const { pin } = await this.admin.unary(loadWire().Tokens.Create, asked);
    const token: ParsedToken = { role, pin, id, seed };
    try {
      const joined = await joinCluster(
        `${this.host}:${JOIN_PORT}`,
        token,
        {
          hostname: 'joining',
          platformOs: 'linux',
          version: '0.0.0',
          // Nobody is there afterwards; while it joins, something has to answer.
          clusterAddress: `${this.host}:${CLUSTER_PORT}`,
          joinAddress: `${this.host}:${JOIN_PORT}`,
        },
        { clock: SYSTEM_CLOCK, timers: SYSTEM_TIMERS, random: SYSTEM_RANDOM },
      );
      return {
        nodeId: joined.identity.nodeId,
        tls: tlsIdentityOf(joined.identity, joined.privateKeyPem),
      };
    } finally {
      token.seed.wipe();
    }
  }

  /** A secret of this name, with some value. */
  async secret(name: string): Promise<{ readonly id: string; readonly name: string }> {
    const { Cluster, Secrets } = loadWire();
    const { clusterId, intakePublicKey: publicKey } = await this.admin.unary(Cluster.GetInfo, {});
    const value = SecretBytes.random(SYSTEM_RANDOM, 16);
    const place = { clusterId, context: Buffer.from(`secret.set\n${name}`) };
    const sealedValue = sealIntake({ ...place, publicKey, value, random: SYSTEM_RANDOM });
    return await this.admin.unary(Secrets.Set, { name, sealedValue });
  }

  /** What an administrator presents that `admin create` has made. */
  async administrator(name: string, roles: readonly AdminRole[]): Promise<TlsIdentity> {
    const { privateKeyPem, spkiDer: publicKey } = generateNodeKey();
    const proof = proveKey(privateKeyPem, encodeAdminTranscript(name, publicKey));
    const asked = { name, roles: [...roles], publicKey, proof };
    const { certificate } = await this.admin.unary(loadWire().Admins.Create, asked);
    return this.present(certificate, privateKeyPem);
  }

  /** A certificate under the root of this cluster that its issuer would not have made. */
  async certify(other: OtherCertificate): Promise<TlsIdentity> {
    const key = generateNodeKey();
    const now = SYSTEM_CLOCK.now();
    const der = await this.withRootKey((rootPrivateKey) =>
      issueCertificate({
        rootDer: this.rootDer,
        rootPrivateKey,
        clusterId: this.clusterId,
        subject: other.subject,
        spkiDer: key.spkiDer,
        serial: Buffer.from(other.serial, 'hex'),
        notBefore: other.notBefore ?? now,
        notAfter: other.notAfter ?? now + HOUR_MS,
      }),
    );
    return this.present(der, key.privateKeyPem);
  }

  /** Lends the private key of the root, PKCS #8. */
  async withRootKey<T>(use: (pkcs8: Uint8Array) => Promise<T>): Promise<T> {
    const { ring, body } = this.#founding;
    const place = { clusterId: this.clusterId, serial: '1', envelope: body.cluster.rootKeySealed };
    const key = ring.openCaKey(place);
    try {
      return await key.use(use);
    } finally {
      key.wipe();
    }
  }

  present(der: Uint8Array, privateKeyPem: Uint8Array): TlsIdentity {
    return { certificatesDer: [der], privateKeyPem, rootsDer: [this.rootDer] };
  }

  async close(): Promise<void> {
    this.admin.close();
    await this.#local.close();
    await this.#member.stop();
    this.#data.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

interface Found {
  readonly founding: Founding;
  readonly identity: MemberIdentity;
  readonly privateKeyPem: Uint8Array;
  readonly localKey: SecretBytes;
  readonly slots: KeySlots;
}

async function found(around: Surroundings): Promise<Found> {
  const { clock, random, folder, config } = around;
  const owner = { clusterId: createId(random), nodeId: createId(random) };
  const { privateKeyPem, spkiDer } = generateNodeKey();
  const fresh = createFreshKeys(random);
  const recovery = { generation: 1, ...createRecoveryKit(random).recipient };
  const founding = await foundCluster(
    {
      ...owner,
      raftId: 1,
      hostname: 'alpha',
      platformOs: 'linux',
      version: '0.0.0',
      clusterAddress: `${config.listenHost}:${CLUSTER_PORT}`,
      joinAddress: `${config.listenHost}:${JOIN_PORT}`,
      publicKey: spkiDer,
      keys: fresh,
      recovery,
    },
    clock,
    random,
  );
  const localKey = createLocalKey(random);
  const tlsKey = SecretBytes.take(Uint8Array.from(privateKeyPem));
  const made = { fresh, tlsKey, localKey };
  await (await ManagerKeys.create(folder, owner, made, random)).saveRing(founding.ring);
  const drafts = [recoveryDraft(recovery)];
  const slots = await KeySlots.create(folder, owner, { localKey, drafts, tools: around });
  const identity: MemberIdentity = {
    ...owner,
    role: 'manager',
    raftId: 1,
    certificateDer: founding.certificate,
    rootsDer: [founding.rootCertificate],
    crossDer: new Uint8Array(0),
    managers: [],
  };
  return { founding, identity, privateKeyPem, localKey, slots };
}

/** The serial of the certificate that an identity presents. */
export function serialOf(tls: TlsIdentity): string {
  return identityOf(tls.certificatesDer[0] ?? new Uint8Array(0)).serial;
}

/** The id that the certificate of an identity names. */
export function nodeIdOf(tls: TlsIdentity): string {
  return identityOf(tls.certificatesDer[0] ?? new Uint8Array(0)).id;
}
