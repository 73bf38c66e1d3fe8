import type { Message, MessageType } from '../../message-types.js';
import type { NodeId } from '../../numbers.js';

/** How a message that arrives in a run gets to its receiver in a script. */
export type Arrival =
  /** It is all that is on the way to the receiver, or all of its type. */
  | { readonly kind: 'deliver'; readonly type: MessageType | undefined }
  /** These have to be dropped first, and the message has to be put in flight. */
  | { readonly kind: 'inject'; readonly dropped: readonly Message[] };

/**
 * Messages in flight in a script: everything that members hand out, in this order, until it is
 * delivered or dropped. A script delivers all that is on the way to a member, or all of one type.
 */
export class Flight {
  #messages: Message[] = [];

  /** Members have handed out messages. */
  add(messages: readonly Message[]): void {
    this.#messages.push(...messages);
  }

  /** A message is to arrive now; it is not in flight any more then, and nor is what is dropped. */
  arrive(message: Message): Arrival {
    const waiting = this.#to(message.to);
    if (waiting.includes(message)) {
      const { type } = message;
      const isOnlyOne = waiting.length === 1;
      if (isOnlyOne || waiting.filter((other) => other.type === type).length === 1) {
        this.#messages = this.#messages.filter((other) => other !== message);
        return { kind: 'deliver', type: isOnlyOne ? undefined : type };
      }
    }
    return { kind: 'inject', dropped: this.drop(message.to) };
  }

  /** Drops all that is on the way to a member. */
  drop(to: NodeId): readonly Message[] {
    const dropped = this.#to(to);
    this.#messages = this.#messages.filter((message) => message.to !== to);
    return dropped;
  }

  #to(to: NodeId): Message[] {
    return this.#messages.filter((message) => message.to === to);
  }
}
