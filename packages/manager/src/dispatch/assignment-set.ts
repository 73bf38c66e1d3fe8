import { isEnded } from '@conclave/state';
import type { AssignedTask, NodeAssignments } from '@conclave/state';

/** One version of one secret. */
export interface VersionName {
  readonly secretId: string;
  readonly version: number;
}

/** What changed between two assignments of one node. */
export interface AssignmentDifference {
  readonly tasks: readonly AssignedTask[];
  readonly tasksRemoved: readonly string[];
  readonly versions: readonly VersionName[];
  readonly versionsRemoved: readonly VersionName[];
}

const nameOf = ({ secretId, version }: VersionName): string => `${secretId}@${version}`;

/** What an agent has to know of a task; other fields are its own reports coming back. */
function fingerprint(assigned: AssignedTask): string {
  const { task, bindings, undeliverable } = assigned;
  const versions = bindings.map((bound) => `${bound.binding.target}=${bound.version}`);
  return [task.desiredState, isEnded(task.state), undeliverable, ...versions].join('|');
}

/** What a session has sent so far; answers what is missing towards a wanted set. */
export class AssignmentSet {
  readonly #tasks = new Map<string, string>();
  readonly #versions = new Map<string, VersionName>();

  /** True when the session holds the version. */
  has(name: VersionName): boolean {
    return this.#versions.has(nameOf(name));
  }

  /** Moves to `wanted` and answers the difference; undefined when there is none. */
  advance(wanted: NodeAssignments): AssignmentDifference | undefined {
    const tasks: AssignedTask[] = [];
    const seen = new Set<string>();
    for (const assigned of wanted.tasks) {
      const { id } = assigned.task;
      const print = fingerprint(assigned);
      seen.add(id);
      if (this.#tasks.get(id) === print) continue;
      this.#tasks.set(id, print);
      tasks.push(assigned);
    }
    const tasksRemoved = [...this.#tasks.keys()].filter((id) => !seen.has(id));
    for (const id of tasksRemoved) this.#tasks.delete(id);
    const wantedVersions = new Map(wanted.versions.map((name) => [nameOf(name), name]));
    const versions = [...wantedVersions.values()].filter((name) => !this.has(name));
    const versionsRemoved = [...this.#versions]
      .filter(([name]) => !wantedVersions.has(name))
      .map(([, version]) => version);
    for (const version of versions) this.#versions.set(nameOf(version), version);
    for (const version of versionsRemoved) this.#versions.delete(nameOf(version));
    const count = tasks.length + tasksRemoved.length + versions.length + versionsRemoved.length;
    return count === 0 ? undefined : { tasks, tasksRemoved, versions, versionsRemoved };
  }
}
