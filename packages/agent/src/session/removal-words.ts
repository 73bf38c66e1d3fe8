import type { ManagerPlace } from './manager-book.js';

/**
 * Which managers say that this node was removed. One of them may lie, or follow a log of its own
 * since its disk was set back: it counts when most of the managers that the node knows say so, as
 * with everything else that the managers decide. A removal is final, so words do not age; a session
 * that opens proves all of them wrong.
 */
export class RemovalWords {
  readonly #saidBy = new Set<string>();

  /** This manager, known by its certificate, says so. */
  hear(managerId: string): void {
    this.#saidBy.add(managerId);
  }

  /** A manager has taken the node for a member. */
  clear(): void {
    this.#saidBy.clear();
  }

  /** True when most of `managers` have said so. */
  isCertain(managers: readonly ManagerPlace[]): boolean {
    const count = managers.filter(({ nodeId }) => this.#saidBy.has(nodeId)).length;
    return count > managers.length / 2;
  }
}
