import type { Clock, Random } from '@conclave/kernel';
import type { AdminCredentials, ConclaveClient } from '@conclave/client';
import type { ContextStore, KeyShelf } from './contexts.js';
import type { Flags } from './flags.js';
import type { Io } from './io.js';
import type { Target } from './target.js';

/** One option of a command. */
export interface OptionSpec {
  /** For instance `-o, --output <format>`; angle brackets make the argument required. */
  readonly flags: string;
  /** One line, no full stop. */
  readonly help: string;
  /** May be given again; the values are kept in order. */
  readonly isRepeated?: boolean;
}

/**
 * One command. The help, the reference page and the shell completions are all made from it.
 * `run` must load what is slow to load (the client, the sealing code) only when it needs it.
 */
export interface CommandSpec {
  /** Words after `conclave`, for instance `secret set`. */
  readonly path: string;
  /** For instance `<name> [command...]`. */
  readonly arguments?: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** Paragraphs under the summary. */
  readonly details?: readonly string[];
  /** Lines to copy; the first stands for the command. */
  readonly examples: readonly [string, ...string[]];
  readonly options?: readonly OptionSpec[];
  /** Names of the fields of `-o json`, for the reference. */
  readonly fields?: readonly string[];
  /**
   * What is left over on the command line may be a secret: it is handed to `run` unread, options
   * that are not known included, so that no error can quote it.
   */
  readonly hasUncheckedArguments?: boolean;
  /** It changes the host that it runs on: a context cannot take it elsewhere. */
  readonly isOfHost?: boolean;
  readonly run: (call: Call) => Promise<void>;
}

/** What surrounds the commands: made by `main`, replaced by tests. */
export interface Tools {
  /** Connects to the daemon at `socketPath`. Errors: CV_PEER_UNREACHABLE, CV_ROLE_FORBIDDEN. */
  readonly connect: (options: ConnectOptions) => Promise<ConclaveClient>;
  /** Connects to a manager with the credentials of a context, which are only read. */
  readonly connectRemote: (options: ConnectRemoteOptions) => Promise<ConclaveClient>;
  readonly contexts: ContextStore;
  /** Private keys whose certificate has not come yet, by name of the context to be. */
  readonly requestKeys: KeyShelf;
  /** Becomes the daemon; resolves when its start has been handed over. */
  readonly startDaemon: (argv: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  /** Fires when the person interrupts. */
  readonly signal: AbortSignal;
}

/** How to reach the cluster. */
export interface ConnectOptions {
  readonly socketPath: string;
  /** Milliseconds for a call with all its attempts; default of the client. */
  readonly deadlineMs: number | undefined;
}

/** How to reach a cluster over the network. */
export interface ConnectRemoteOptions extends Pick<ConnectOptions, 'deadlineMs'> {
  readonly credentials: AdminCredentials;
}

/** One run of one command. */
export interface Call {
  readonly arguments: readonly string[];
  readonly flags: Flags;
  readonly io: Io;
  readonly tools: Tools;
  /** Whom the client talks to. */
  readonly target: () => Promise<Target>;
  /** The client; connects at the first use and is closed after the command. */
  readonly client: () => Promise<ConclaveClient>;
  /** The whole command tree, for completions. */
  readonly commands: readonly CommandSpec[];
  /** Makes the process end with `code` although the command did its work. */
  readonly setExitCode: (code: number) => void;
}
