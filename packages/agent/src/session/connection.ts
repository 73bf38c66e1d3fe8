import type { AgentMessageInput, ManagerMessage } from '@conclave/wire';

import type { ManagerPlace } from './manager-book.js';

/** An open stream to one manager. */
export interface ManagerConnection {
  /** Sends a message; resolves when there is room for another one. */
  write(message: AgentMessageInput): Promise<void>;
  /** To be iterated once; throws the reason when the stream breaks. */
  readonly messages: AsyncIterable<ManagerMessage>;
  /** Serial of the certificate that the manager presented; known once a message has come. */
  managerSerial(): string;
  /** Serial of the certificate that this agent presented on this connection. */
  agentSerial(): string;
  /** Ends the stream; may be called again. */
  close(): void;
}

/** Opens streams to managers; the transport in a daemon, a simulated one in tests. */
export interface ManagerDialer {
  /** The stream is open when its first message comes; `messages` throws when it never is. */
  dial(manager: ManagerPlace): ManagerConnection;
}
