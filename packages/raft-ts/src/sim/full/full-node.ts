import type { Node } from '../../node/index.js';
import type { ReadState } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { ProposalWatcher, SubjectNode } from '../subject.js';

/** Gets the answers of a driver, as long as the life goes on in which they were asked for. */
export interface AnswerSink {
  /** Whether the life has ended. */
  isOver(): boolean;
  readable(state: ReadState): void;
  check(work: () => void): void;
}

function ignore(): void {
  // A refusal is an answer that nobody waits for.
}

/** The driver, asked in the words of a bare node. */
export function asSubjectNode(node: Node, sink: AnswerSink): SubjectNode {
  return {
    campaign: () => {
      node.campaign();
    },
    // The driver has no such call.
    forgetLeader: ignore,
    propose: (data) => {
      void node.propose(data);
    },
    proposeConfChange: (change) => {
      node.proposeConfChange(change).catch(ignore);
    },
    readIndex: (requestCtx) => {
      node.linearizableRead().then((index) => {
        if (!sink.isOver()) sink.readable({ index, requestCtx });
      }, ignore);
    },
    reportSnapshot: (to, status) => {
      node.reportSnapshot(to, status);
    },
    reportUnreachable: (to) => {
      node.reportUnreachable(to);
    },
    transferLeader: (to) => {
      node.transferLeadership(to).catch(ignore);
    },
  };
}

/** Proposes, and tells what became of it. */
export async function proposeTo(
  node: Node,
  data: Uint8Array,
  { watcher, sink }: { readonly watcher: ProposalWatcher; readonly sink: AnswerSink },
): Promise<void> {
  const result = await node.propose(data);
  if (sink.isOver()) return;
  sink.check(() => {
    if (result.outcome === 'rejected') watcher.refused();
    else if (result.outcome === 'applied') {
      const { value } = result;
      if (typeof value !== 'number')
        throw new SimFailure('11 answers', 'an answer without a value');
      watcher.applied(value);
    }
  });
}
