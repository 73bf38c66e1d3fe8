import { ConclaveError, createId, limits } from '@conclave/kernel';
import type { CancelSignal, Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import { managerAccept, sessionContext, signTranscript } from '@conclave/sealed';
import type { FrameSealer } from '@conclave/sealed';
import type { Change, ChangeBatch, CommandBody, State } from '@conclave/state';
import type { CallContext, Handlers, StreamWriter } from '@conclave/transport';
import type {
  AgentHello,
  AgentMessage,
  LogReplyInput,
  ManagerMessageInput,
  Services,
  SessionInfoInput,
  SessionsRequestInput,
} from '@conclave/wire';
import type { ReplicatedState } from '../consensus/replicated-state.js';
import type { ManagerKeys } from '../keys/manager-keys.js';
import { rootDemandOf } from '../keys/root-demand.js';
import type { RootDemand } from '../keys/root-demand.js';
import { heartbeatPeriodMs } from '../scheduling/heartbeat-period.js';
import { AgentSession } from './agent-session.js';
import type { DispatchContext } from './dispatch-context.js';
import { Lease } from './lease.js';
import type { LogQuery } from './log-relay.js';
import { checkedHello } from './hello.js';
import { HELLO_WAIT_MS, PERIOD_DRIFT_MAX } from './limits.js';
import { receiptSize, taskReportSize } from './report-messages.js';
import { ReportQueue } from './report-queue.js';
import { SessionBeats } from './session-beats.js';

/** What a dispatcher is made of. */
export interface DispatcherOptions {
  readonly selfNodeId: string;
  /** Serial of the certificate that the cluster listener presents now. */
  readonly ownSerial: () => string;
  readonly replicated: ReplicatedState;
  readonly keys: ManagerKeys;
  readonly confirm: () => Promise<unknown>;
  /** Workers may open sessions under the classical algorithm; default: no. */
  readonly allowsClassical?: boolean | undefined;
  /** Commits what agents reported. */
  readonly commit: (body: CommandBody) => Promise<unknown>;
  /** Tells the leader who lives here; repeated until it answers. */
  readonly beat: (
    sessions: SessionsRequestInput,
  ) => Promise<{ readonly invalid: readonly string[] }>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Serves agents on this manager: one session per node, work only for those a change concerns. */
export class Dispatcher implements Handlers<Services['Dispatcher']> {
  readonly #options: DispatcherOptions;
  readonly #sessions = new Map<string, AgentSession>();
  readonly #context: DispatchContext;
  readonly #unlisten: () => void;
  readonly #beats: SessionBeats;
  /** What agents were told last, milliseconds; 0: nothing to all of them. */
  #toldPeriodMs = 0;
  #isClosed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const { clock, timers, logger, commit } = options;
    const queue = { commit, timers, logger };
    this.#context = {
      state: () => options.replicated.state,
      ring: () => options.keys.requireRing(),
      lease: new Lease(clock, options.confirm),
      confirm: options.confirm,
      taskReports: new ReportQueue({
        ...queue,
        sizeOf: taskReportSize,
        toBody: (reports) => ({ kind: 'tasks.report', reports }),
      }),
      receipts: new ReportQueue({
        ...queue,
        sizeOf: receiptSize,
        toBody: (receipts) => ({ kind: 'receipts.report', receipts }),
      }),
      sessionInfo: (nodeId) => this.#sessionInfo(nodeId),
      clock,
      timers,
      logger,
    };
    this.#unlisten = options.replicated.listen((event) => {
      if (event.kind === 'applied') this.#onBatch(event.batch);
      else this.#onReplaced();
    });
    this.#beats = new SessionBeats({
      sessions: () => this.#livingSessions(),
      beat: options.beat,
      onInvalid: (sessionId) => this.#cutById(sessionId),
      onRemoved: () => this.#cutAll(removed()),
      timers,
      logger,
    });
  }

  /** Nodes that have a session here. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** One agent's stream, from Hello to its end. */
  async session(
    call: CallContext,
    requests: AsyncIterable<AgentMessage>,
    writer: StreamWriter<ManagerMessageInput>,
  ): Promise<void> {
    if (call.peer.kind !== 'certificate') {
      throw new ConclaveError('CV_UNAUTHENTICATED', 'a session needs the certificate of a node');
    }
    const { id: nodeId, serial } = call.peer.identity;
    const messages = requests[Symbol.asyncIterator]();
    const hello = await this.#readHello(messages);
    await this.#context.lease.hold();
    const { id, sealer } = await this.#accept({ nodeId, serial, hello, writer });
    if (this.#isClosed) {
      sealer.wipe();
      throw stopping();
    }
    const session = new AgentSession({
      id,
      nodeId,
      call,
      writer,
      sealer,
      held: hello.held,
      context: this.#context,
    });
    this.#sessions.get(nodeId)?.cut(replaced());
    this.#sessions.set(nodeId, session);
    this.#beats.opened({
      nodeId,
      sessionId: id,
      version: hello.version,
      executors: hello.executors,
    });
    this.#options.logger.info('session.opened', { nodeId });
    this.#lookAtName(nodeId, hello);
    try {
      await session.run(messages);
    } finally {
      if (this.#sessions.get(nodeId) === session) this.#sessions.delete(nodeId);
      this.#beats.closed(nodeId, id);
      this.#options.logger.info('session.closed', { nodeId });
    }
  }

  /**
   * Output of a task whose node has its session here.
   * @throws CV_PEER_UNREACHABLE when it has none
   */
  logs(nodeId: string, query: LogQuery, signal?: CancelSignal): AsyncGenerator<LogReplyInput> {
    const session = this.#sessions.get(nodeId);
    if (session !== undefined) return session.logs(query, signal);
    throw new ConclaveError('CV_PEER_UNREACHABLE', 'the node of the task has no session');
  }

  /** Ends every session; agents go to another manager. */
  close(): void {
    this.#isClosed = true;
    this.#beats.close();
    this.#unlisten();
    this.#context.taskReports.close();
    this.#context.receipts.close();
    this.#cutAll(stopping());
  }

  /** A host keeps the name that it joined with; another one may be a mistake, or a lie. */
  #lookAtName(nodeId: string, hello: AgentHello): void {
    const hostname = this.#options.replicated.state.nodeById(nodeId)?.hostname ?? '';
    if (hello.hostname === hostname) return;
    this.#options.logger.warn('session.other-hostname', { nodeId, hostname });
  }

  async #readHello(messages: AsyncIterator<AgentMessage>): Promise<AgentHello> {
    let timer: TimerHandle | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = this.#options.timers.after(HELLO_WAIT_MS, () => resolve(undefined));
    });
    try {
      const first = await Promise.race([messages.next(), late]);
      return checkedHello(first?.done === true ? undefined : first?.value.hello);
    } finally {
      timer?.cancel();
    }
  }

  async #accept(request: {
    readonly nodeId: string;
    readonly serial: string;
    readonly hello: AgentHello;
    readonly writer: StreamWriter<ManagerMessageInput>;
  }): Promise<{ id: string; sealer: FrameSealer }> {
    const { nodeId, serial, hello, writer } = request;
    const { random, keys, selfNodeId } = this.#options;
    const cluster = this.#options.replicated.state.cluster();
    if (cluster === undefined || keys.ring === undefined) {
      throw new ConclaveError('CV_STATE_STALE', 'this manager is not ready to serve agents yet');
    }
    // The id says which manager has the session, so that others can find it.
    const id = `${selfNodeId}/${createId(random)}`;
    const { accept, sealer, transcript } = managerAccept({
      hello: { kemPublicKey: hello.kemPublicKey, nonce: hello.nonce },
      binding: {
        clusterId: cluster.id,
        nodeId,
        agentSerial: serial,
        managerSerial: this.#options.ownSerial(),
        context: sessionContext({
          protocol: hello.protocol,
          bootId: hello.bootId,
          clusterEpoch: hello.clusterEpoch,
          appliedIndex: hello.appliedIndex,
          sessionId: id,
        }),
      },
      random,
      allowsClassical: this.#options.allowsClassical,
    });
    try {
      await writer.write({
        accept: {
          sessionId: id,
          kemCiphertext: accept.ciphertext,
          nonce: accept.nonce,
          streamHeader: accept.header,
          managerId: selfNodeId,
          signature: signTranscript(keys.signing.privateKey, transcript),
          info: this.#sessionInfo(nodeId),
          clusterId: cluster.id,
          nodeId,
        },
      });
    } catch (error) {
      sealer.wipe();
      throw error;
    }
    return { id, sealer };
  }

  #sessionInfo(nodeId: string): SessionInfoInput {
    const { state } = this.#options.replicated;
    const node = state.nodeById(nodeId);
    const managers = [...state.nodes()].flatMap(({ id, manager }) =>
      manager === undefined || manager.membership === 'removing'
        ? []
        : [
            {
              nodeId: id,
              address: manager.clusterAddress,
              signingPublicKey: manager.signingPublicKey,
              joinAddress: manager.joinAddress,
            },
          ],
    );
    return {
      heartbeatPeriodMs: this.#heartbeatPeriodMs(),
      managers,
      availability: node?.availability ?? 'active',
      wantedRole: node?.wantedRole ?? '',
      certificateLifeMs: state.cluster()?.settings.certificates.workerLifeMs ?? 0,
      roots: rootsMessage(rootDemandOf(state, nodeId)),
    };
  }

  #onBatch(batch: ChangeBatch): void {
    const { state } = this.#options.replicated;
    const touched = new Set<string>();
    let concernsAll = false;
    let nodesChanged = false;
    for (const change of batch.changes) {
      for (const nodeId of nodesOf(change, state)) touched.add(nodeId);
      if (change.kind === 'cluster') concernsAll ||= isOfAllNodes(change);
      if (change.kind !== 'node') continue;
      this.#onNode(change);
      concernsAll ||= isManagerChange(change);
      nodesChanged ||= change.before === undefined || change.after === undefined;
    }
    for (const nodeId of touched) this.#sessions.get(nodeId)?.touch();
    if (concernsAll || (nodesChanged && this.#isPeriodOld())) this.#tellAll();
  }

  /** A snapshot of the leader stands in for entries that nobody saw here. */
  #onReplaced(): void {
    for (const session of this.#sessions.values()) session.touch();
    this.#tellAll();
  }

  /** The leader counts by the new period: agents that beat by an old one would look silent. */
  #isPeriodOld(): boolean {
    const driftMs = Math.abs(this.#heartbeatPeriodMs() - this.#toldPeriodMs);
    return driftMs > this.#toldPeriodMs * PERIOD_DRIFT_MAX;
  }

  #tellAll(): void {
    this.#toldPeriodMs = this.#heartbeatPeriodMs();
    for (const session of this.#sessions.values()) session.sendInfo().catch(() => undefined);
  }

  /** Cuts a session that a newer one has replaced; tells the node what it should know of itself. */
  #onNode({ id, before, after }: Extract<Change, { kind: 'node' }>): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    if (before?.sessionId === session.id && after?.sessionId !== session.id) {
      session.cut(replaced());
    } else if (
      before?.availability !== after?.availability ||
      before?.wantedRole !== after?.wantedRole
    ) {
      session.sendInfo().catch(() => undefined);
    }
  }

  /** The sessions that are not silent; those that are for too long end here. */
  *#livingSessions(): Generator<AgentSession> {
    const silenceMsMax = this.#heartbeatPeriodMs() * limits.HEARTBEAT_MISSES_MAX;
    for (const session of this.#sessions.values()) {
      if (session.silenceMs > silenceMsMax) session.cut(silent());
      else yield session;
    }
  }

  /** Agents go to another manager. */
  #cutAll(reason: ConclaveError): void {
    for (const session of this.#sessions.values()) session.cut(reason);
  }

  #cutById(id: string): void {
    for (const session of this.#sessions.values()) {
      if (session.id === id) session.cut(replaced());
    }
  }

  #heartbeatPeriodMs(): number {
    const { state } = this.#options.replicated;
    const agents = [...state.nodes()].filter(({ role }) => role === 'worker').length;
    return heartbeatPeriodMs(state.cluster()?.settings.heartbeatPeriodMs ?? 0, agents);
  }
}

/** True when every agent must hear of it: the managers it may turn to are not the same any more. */
function isManagerChange({ before, after }: Extract<Change, { kind: 'node' }>): boolean {
  const left = before?.manager;
  const right = after?.manager;
  return left?.clusterAddress !== right?.clusterAddress || left?.membership !== right?.membership;
}

/** The same when they are to trust other roots, or to renew sooner. */
function isOfAllNodes({ before, after }: Extract<Change, { kind: 'cluster' }>): boolean {
  const [left, right] = [before, after].map((row) => row?.settings.certificates.workerLifeMs);
  return before?.rootStep !== after?.rootStep || left !== right;
}

function rootsMessage(demand: RootDemand | undefined): SessionInfoInput['roots'] {
  if (demand === undefined) return undefined;
  const { certificates, cross, reached, step } = demand;
  return { step, reached, certificates: [...certificates], crossCertificate: cross };
}

/** The nodes whose assignment a change may alter. */
function nodesOf(change: Change, state: State): readonly string[] {
  switch (change.kind) {
    case 'task':
      return [change.before?.nodeId ?? '', change.after?.nodeId ?? ''];
    case 'secret':
      return [...state.tasksUsingSecret(change.id)].map((task) => task.nodeId);
    case 'version':
      return [...state.tasksUsingSecret((change.after ?? change.before)?.secretId ?? '')].map(
        (task) => task.nodeId,
      );
    case 'cluster':
    case 'service':
    case 'node':
    case 'token':
    case 'admin':
    case 'receipt':
      return [];
  }
}

const replaced = (): ConclaveError =>
  new ConclaveError('CV_SESSION_INVALID', 'a newer session of this node replaced this one');

const stopping = (): ConclaveError => new ConclaveError('CV_NO_LEADER', 'this manager is stopping');

/** Not the code of the leader's answer: to an agent that would speak of the agent. */
const removed = (): ConclaveError =>
  new ConclaveError('CV_NO_LEADER', 'this manager was removed from the cluster');

const silent = (): ConclaveError =>
  new ConclaveError('CV_DEADLINE', 'the agent missed its heartbeats');
