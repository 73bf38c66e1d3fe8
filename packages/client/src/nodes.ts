import { loadWire } from '@conclave/wire';
import type { ExposedVersion, Node, NodePage, RemoveNodeResponse } from '@conclave/wire';
import { read, readPages, readStream, write } from './calls.js';
import type { CallOptions, ClientContext, ReadOptions, WriteOptions } from './context.js';

/** Which nodes `nodes.list` answers. */
export interface ListNodesOptions extends ReadOptions {
  readonly role?: 'manager' | 'worker' | undefined;
}

/** What to change about a node; what is absent stays. */
export interface NodeChange {
  /** Refuse when the node changed since it was read at this object version. */
  readonly objectVersion?: number | undefined;
  readonly availability?: 'active' | 'pause' | 'drain' | undefined;
  readonly labelsSet?: Readonly<Record<string, string>> | undefined;
  readonly labelsRemove?: readonly string[] | undefined;
}

/** Nodes: the members of the cluster. A node is named by id, by hostname, or "self". */
export interface NodesApi {
  /** @throws CV_NODE_NOT_FOUND */
  get(node: string, options?: ReadOptions): Promise<Node>;
  list(options?: ListNodesOptions): AsyncIterable<Node>;
  update(node: string, change: NodeChange, options?: WriteOptions): Promise<Node>;
  /** Ends its identity and its tasks. @throws CV_NODE_IN_USE while READY unless forced */
  remove(
    node: string,
    options?: WriteOptions & { readonly isForced?: boolean | undefined },
  ): Promise<RemoveNodeResponse>;
  /** Lets a node that has joined and waits do what its token says. */
  approve(node: string, options?: WriteOptions): Promise<Node>;
  /**
   * Makes a worker a manager, or a manager a worker. Resolves for a demotion when it is over, for a
   * promotion when it is decided.
   * @throws CV_LAST_MANAGER when too few managers would be left, CV_NODE_IN_USE, CV_DEADLINE
   */
  setRole(node: string, role: 'manager' | 'worker', options?: WriteOptions): Promise<Node>;
  /** Every secret version that it was ever given. */
  exposure(node: string, options?: CallOptions): AsyncIterable<ExposedVersion>;
}

/** Nodes over `context`'s port. */
export function createNodesApi(context: ClientContext): NodesApi {
  const wire = loadWire().Nodes;
  return {
    get: (node, options = {}) =>
      read(
        context,
        { method: wire.Get, request: { node, stale: options.isStale ?? false } },
        options,
      ),
    list: (options = {}) => {
      const request = { role: options.role ?? '', stale: options.isStale ?? false };
      const call = { method: wire.List, request, itemsOf: (page: NodePage) => page.nodes };
      return readPages(context, call, options);
    },
    update: (node, change, options = {}) => {
      const request = (key: string) => ({
        node,
        objectVersion: change.objectVersion ?? 0,
        availability: change.availability ?? '',
        labelsSet: { ...change.labelsSet },
        labelsRemove: [...(change.labelsRemove ?? [])],
        idempotencyKey: key,
      });
      return write(context, { method: wire.Update, request }, options);
    },
    remove: (node, options = {}) => {
      const force = options.isForced ?? false;
      const request = (key: string) => ({ node, force, idempotencyKey: key });
      return write(context, { method: wire.Remove, request }, options);
    },
    approve: (node, options = {}) => {
      const request = (key: string) => ({ node, idempotencyKey: key });
      return write(context, { method: wire.Approve, request }, options);
    },
    setRole: (node, role, options = {}) => {
      const request = (key: string) => ({ node, role, idempotencyKey: key });
      return write(context, { method: wire.SetRole, request }, options);
    },
    exposure: (node, options = {}) =>
      readStream(context, { method: wire.Exposure, request: { node } }, options),
  };
}
