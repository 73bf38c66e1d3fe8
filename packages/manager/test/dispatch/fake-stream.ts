import type { StreamWriter } from '@conclave/transport';
import type {
  AgentMessage,
  AgentMessageInput,
  ManagerMessage,
  ManagerMessageInput,
} from '@conclave/wire';
import { callOf } from '../calls.js';
import { toAgent, toManager } from './agent-side.js';

/** An agent's stream as the manager's handler sees it; the test is the agent. */
export class FakeStream implements StreamWriter<ManagerMessageInput> {
  readonly queuedBytes = 0;
  readonly received: ManagerMessage[] = [];
  readonly controller = new AbortController();
  /** Set to make writes wait, as for a reader that takes nothing. */
  block: Promise<void> | undefined;
  #waiting: AgentMessage[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  async write(message: ManagerMessageInput): Promise<void> {
    if (this.controller.signal.aborted) throw this.controller.signal.reason;
    this.received.push(toAgent(message));
    await this.block;
  }

  /** A message of the agent. */
  send(message: AgentMessageInput): void {
    this.#waiting.push(toManager(message));
    this.#wake();
  }

  /** The agent goes. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *requests(): AsyncGenerator<AgentMessage> {
    for (;;) {
      const message = this.#waiting.shift();
      if (message !== undefined) yield message;
      else if (this.#isEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  call(nodeId: string, serial: string): ReturnType<typeof callOf> {
    const identity = { id: nodeId, serial, kind: 'node', role: 'worker' };
    return callOf(identity as never, this.controller);
  }
}
