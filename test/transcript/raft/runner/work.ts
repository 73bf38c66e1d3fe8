import type { Message } from 'raft-ts';
import { describeMessage, describeReady, message } from 'raft-ts';
import type { Member } from './member.js';
import type { Session } from './session.js';

/** Steps of a stabilization are bounded, so that a loop in the core ends as a failed test. */
const ROUNDS_MAX = 200;

export function processReady(session: Session, member: Member): void {
  const ready = member.node.ready();
  session.print(describeReady(ready));
  session.inFlight.push(...member.handle(ready));
}

const withoutResponses = (work: Message): Message =>
  message(work.type, { ...work, responses: [] }) as Message;

function processWork(session: Session, work: Message, perform: (work: Message) => void): void {
  session.print(`Processing:\n${describeMessage(withoutResponses(work))}`);
  perform(work);
  session.print('Responses:');
  for (const response of work.responses) session.print(describeMessage(response));
  session.inFlight.push(...work.responses);
}

export function processAppend(session: Session, member: Member): void {
  const work = member.appendWork.shift();
  if (work === undefined) session.print('no append work to perform');
  else processWork(session, work, (oldest) => member.append(oldest));
}

export function processApply(session: Session, member: Member): void {
  const work = member.applyWork.shift();
  if (work === undefined) session.print('no apply work to perform');
  else processWork(session, work, (oldest) => member.apply(oldest));
}

/** For several members each one's output gets a title. */
export function forEach(
  session: Session,
  members: readonly Member[],
  title: string,
  work: (session: Session, member: Member) => void,
): void {
  const [only] = members;
  if (members.length === 1 && only !== undefined) work(session, only);
  else for (const m of members) session.section(`${m.id} ${title}`, () => work(session, m));
}

/** Handles Readys, messages and storage work until nothing is left to do. */
export function stabilize(session: Session, members: readonly Member[]): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    let isIdle = true;
    const each = (isDue: (m: Member) => boolean, title: string, work: (m: Member) => void): void => {
      for (const member of members) {
        if (!isDue(member)) continue;
        isIdle = false;
        session.section(`${member.id} ${title}`, () => work(member));
      }
    };
    each(({ node }) => node.hasReady(), 'handling Ready', (m) => processReady(session, m));
    each(
      ({ id }) => session.matching({ to: id }).length > 0,
      'receiving messages',
      ({ id }) => session.deliver({ to: id }),
    );
    each(({ appendWork }) => appendWork.length > 0, 'processing append thread', (m) => {
      while (m.appendWork.length > 0) processAppend(session, m);
    });
    each(({ applyWork }) => applyWork.length > 0, 'processing apply thread', (m) => {
      while (m.applyWork.length > 0) processApply(session, m);
    });
    if (isIdle) return;
  }
  throw new Error('the members do not come to rest');
}
