import { join } from 'node:path';
import { ConclaveError } from '@conclave/kernel';
import { CERTIFICATE_OVERLAP_MS, Manager, ManagerKeys, serveControl } from '@conclave/manager';
import type { ControlApi, Founding, FreshKeys } from '@conclave/manager';
import { LevelStore } from '@conclave/store';
import { listenCluster, listenJoin, SERVED_BY } from '@conclave/transport';
import type { Listener, ReplaceableIdentity } from '@conclave/transport';
import { dial } from './dial.js';
import { DiskRoom } from './disk-room.js';
import type { MemberIdentity } from './identity-file.js';
import type { Member, RoleStatus, Surroundings } from './member.js';
import { spkiOfKey } from './public-key.js';
import { Renewal } from './renewal.js';
import { identitySource, tlsIdentityOf } from './tls-identity.js';

/** How a manager begins: as the founder, with the keys of its join, or from its disk. */
export type ManagerStart =
  | { readonly kind: 'founder'; readonly founding: Founding; readonly fresh: FreshKeys }
  | { readonly kind: 'joined'; readonly fresh: FreshKeys }
  | { readonly kind: 'restarted' };

/** This host as a manager: its store, its listeners and the manager between them. */
export class ManagerMember implements Member {
  readonly role = 'manager';
  readonly #around: Surroundings;
  readonly #manager: Manager;
  readonly #store: LevelStore;
  readonly #keys: ManagerKeys;
  readonly #identity: ReplaceableIdentity;
  readonly #listeners: Listener[] = [];
  readonly #renewal: Renewal;
  #member: MemberIdentity;

  private constructor(parts: {
    around: Surroundings;
    manager: Manager;
    store: LevelStore;
    keys: ManagerKeys;
    identity: ReplaceableIdentity;
    member: MemberIdentity;
  }) {
    this.#around = parts.around;
    this.#manager = parts.manager;
    this.#store = parts.store;
    this.#keys = parts.keys;
    this.#identity = parts.identity;
    this.#member = parts.member;
    this.#renewal = new Renewal({
      ...parts.around,
      certificate: () => this.#member.certificateDer,
      renew: () => this.#renew(),
    });
  }

  /** Opens keys and store, starts the manager, then its listeners. */
  static async start(
    around: Surroundings,
    member: MemberIdentity,
    privateKeyPem: Uint8Array,
    start: ManagerStart,
  ): Promise<ManagerMember> {
    const { folder, random, clock, timers, logger, version } = around;
    const { clusterId, nodeId, raftId } = member;
    const owner = { clusterId, nodeId };
    const keys =
      start.kind === 'restarted'
        ? await ManagerKeys.open(folder, owner, random)
        : await ManagerKeys.create(folder, owner, start.fresh, random);
    if (start.kind === 'founder') await keys.saveRing(start.founding.ring);
    const store = await LevelStore.open({
      directory: join(folder.path, 'raft'),
      clusterId,
      nodeId,
      epoch: keys.storageEpoch,
      key: keys.storageKey,
      random,
    });
    const identity = identitySource(member, privateKeyPem);
    const room = new DiskRoom(folder.path, clock);
    try {
      const manager = await Manager.start({
        clusterId,
        nodeId,
        raftId,
        ...(start.kind === 'founder' ? { founding: start.founding.body } : {}),
        identity,
        keys,
        log: store.log,
        snapshots: store.snapshots,
        known: member.managers,
        version,
        dial,
        checkRoom: () => room.check(),
        clock,
        timers,
        random,
        logger,
        schedule: (run) => void setImmediate(run),
      });
      const self = new ManagerMember({ around, manager, store, keys, identity, member });
      await self.#listen();
      return self;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get fatal(): Promise<Error> {
    return this.#manager.fatal;
  }

  get control(): ControlApi {
    return this.#manager.control;
  }

  status(): RoleStatus {
    return {
      message: this.#manager.isLeader ? 'leads the managers' : 'follows the leader',
      connectedManager: '',
      runningTasks: 0,
      heldVersions: 0,
      medium: '',
    };
  }

  membership(): string {
    return this.#manager.membership;
  }

  async leave(force: boolean): Promise<void> {
    const managers = [...this.#manager.state.nodes()].filter((node) => node.manager !== undefined);
    if (managers.length <= 1) {
      if (force) return;
      throw new ConclaveError('CV_LAST_MANAGER', 'this is the last manager: its secrets would go', {
        hint: 'Add another manager first, or destroy the cluster with: conclave leave --force.',
      });
    }
    await this.#manager.handOver();
    try {
      await this.#manager.removeMember(this.#member.nodeId);
    } catch (error) {
      if (!force) throw error;
    }
  }

  async stop(): Promise<void> {
    this.#renewal.stop();
    await this.#manager.handOver();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#manager.stop();
    await this.#store.close();
    this.#keys.wipe();
  }

  async #listen(): Promise<void> {
    const { config, clock, timers, logger } = this.#around;
    const { clusterId, nodeId } = this.#member;
    const shared = {
      host: config.listenHost,
      identity: this.#identity,
      clock,
      timers,
      logger,
    };
    const control = serveControl({
      api: () => this.#manager.control,
      selfNodeId: () => nodeId,
      onAnswer: (call) => call.setTrailer(SERVED_BY, this.#manager.leaderNodeId || nodeId),
    });
    try {
      this.#listeners.push(
        await listenCluster({
          ...shared,
          port: config.clusterPort,
          clusterId,
          authority: this.#manager.authority,
          services: [...this.#manager.clusterServices, ...control],
        }),
        await listenJoin({
          ...shared,
          port: config.joinPort,
          services: this.#manager.joinServices,
        }),
      );
    } catch (error) {
      await this.#manager.stop();
      throw error;
    }
  }

  async #renew(): Promise<void> {
    const key = await this.#around.identityFile.readKey();
    const issued = await this.#manager.renewCertificate(spkiOfKey(key), CERTIFICATE_OVERLAP_MS);
    this.#member = { ...this.#member, certificateDer: issued.der };
    await this.#around.identityFile.write(this.#member);
    this.#identity.replace(tlsIdentityOf(this.#member, key));
  }
}
