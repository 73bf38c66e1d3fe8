import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import type { Command, CommandBody, CommandResult } from '@conclave/state';
import { Proposer } from '../../src/consensus/proposer.js';
import type { ProposedResult } from '../../src/consensus/raft-host.js';
import { SimulatedTime } from '../simulated-time.js';

const BODY: CommandBody = { kind: 'token.revoke', id: 't' };
const BY = { kind: 'admin', id: 'local' } as const;
const DONE: CommandResult = { ok: true, index: 7, values: { id: 't' } } as CommandResult;

let leads: boolean;
/** What each attempt comes to, in turn; the last one again and again. */
let outcomes: (ErrorCode | CommandResult)[];
let seen: { readonly where: string; readonly command: Command }[];
let applied: number[];
let pauses: number[];
/** Who leads at each attempt; the last one from then on. */
let leaders: (number | ErrorCode)[];
let proposer: Proposer;

function attempt(where: string, command: Command): Promise<ProposedResult> {
  seen.push({ where, command });
  const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0];
  if (typeof outcome === 'string') {
    return Promise.reject(new ConclaveError(outcome, 'as the test says'));
  }
  return Promise.resolve({ index: 7, result: outcome as CommandResult });
}

beforeEach(() => {
  leads = true;
  outcomes = [DONE];
  seen = [];
  applied = [];
  pauses = [];
  leaders = [9];
  proposer = new Proposer(
    {
      isLeader: () => leads,
      propose: (command) => attempt('here', command),
      awaitLeader: () => {
        const leader = leaders.length > 1 ? leaders.shift() : leaders[0];
        if (typeof leader === 'number') return Promise.resolve(leader);
        return Promise.reject(new ConclaveError(leader ?? 'CV_NO_LEADER', 'nobody leads'));
      },
      awaitApplied: (index) => {
        applied.push(index);
        return Promise.resolve();
      },
      pause: (ms) => {
        pauses.push(ms);
        return Promise.resolve();
      },
    },
    (leader, command) => attempt(`manager ${leader}`, command),
    new SimulatedTime(1_234),
  );
});

const places = (): string[] => seen.map(({ where }) => where);

describe('a proposal', () => {
  test('goes into the own log on the leader', async () => {
    const request = { key: 'k', fingerprint: 'f' };
    const proposed = await proposer.propose(BY, BODY, { request });
    expect(proposed).toEqual({ index: 7, result: DONE });
    expect(seen[0]?.command).toEqual({ ...BODY, by: BY, request, atMs: 1_234 });
    expect(applied).toEqual([]);
  });

  test('goes through the leader elsewhere, and is answered when it is applied here', async () => {
    leads = false;
    expect(await proposer.propose(BY, BODY)).toEqual({ index: 7, result: DONE });
    expect(places()).toEqual(['manager 9']);
    expect(applied).toEqual([7]);
  });

  test('looks for the leader again when the one it asked leads no more', async () => {
    leads = false;
    outcomes = ['CV_NOT_LEADER', 'CV_NOT_LEADER', DONE];
    expect((await proposer.propose(BY, BODY)).result).toBe(DONE);
    expect(seen).toHaveLength(3);
    // A new leader needs a moment to take up its duties.
    expect(pauses).toEqual([100, 200]);
  });

  test('may find in the meantime that this manager leads', async () => {
    leads = false;
    outcomes = ['CV_NOT_LEADER', DONE];
    const proposing = proposer.propose(BY, BODY);
    await Promise.resolve();
    leads = true;
    await proposing;
    expect(places()).toEqual(['manager 9', 'here']);
  });

  test('gives up after a few attempts', async () => {
    outcomes = ['CV_NOT_LEADER'];
    await expect(proposer.propose(BY, BODY)).rejects.toMatchObject({ code: 'CV_NOT_LEADER' });
    expect(seen).toHaveLength(4);
  });

  test.each<ErrorCode>([
    'CV_OUTCOME_UNKNOWN',
    'CV_DEADLINE',
    'CV_CANCELLED',
    'CV_PEER_UNREACHABLE',
    'CV_QUEUE_FULL',
    'CV_INTERNAL',
  ])('that ends with %s is never made twice', async (code) => {
    for (const isHere of [true, false]) {
      leads = isHere;
      seen = [];
      outcomes = [code];
      await expect(proposer.propose(BY, BODY)).rejects.toMatchObject({ code });
      expect(seen).toHaveLength(1);
    }
  });
});

describe('a proposal of which nobody knows what became', () => {
  const request = { key: 'k', fingerprint: 'f' };
  const unknown = { code: 'CV_OUTCOME_UNKNOWN' };

  test('is made once more under its key when another manager leads', async () => {
    leads = false;
    leaders = [9, 4];
    outcomes = ['CV_OUTCOME_UNKNOWN', DONE];
    expect((await proposer.propose(BY, BODY, { request })).result).toBe(DONE);
    expect(places()).toEqual(['manager 9', 'manager 4']);
    expect(seen.map(({ command }) => command.request)).toEqual([request, request]);
  });

  test('is not made again without a key, or while the same one leads', async () => {
    leads = false;
    leaders = [9, 4];
    outcomes = ['CV_OUTCOME_UNKNOWN', DONE];
    await expect(proposer.propose(BY, BODY)).rejects.toMatchObject(unknown);
    leaders = [9];
    outcomes = ['CV_OUTCOME_UNKNOWN', DONE];
    await expect(proposer.propose(BY, BODY, { request })).rejects.toMatchObject(unknown);
    expect(seen).toHaveLength(2);
  });

  test.each<ErrorCode>(['CV_QUEUE_FULL', 'CV_CANCELLED', 'CV_NOT_LEADER'])(
    'stays unknown when the next attempts end with %s',
    async (code) => {
      leads = false;
      leaders = [9, 4];
      outcomes = ['CV_OUTCOME_UNKNOWN', code];
      await expect(proposer.propose(BY, BODY, { request })).rejects.toMatchObject(unknown);
      expect(seen.length).toBe(code === 'CV_NOT_LEADER' ? 4 : 2);
    },
  );

  test('stays unknown when nobody leads any more', async () => {
    leads = false;
    leaders = [9, 'CV_NO_LEADER'];
    outcomes = ['CV_OUTCOME_UNKNOWN'];
    await expect(proposer.propose(BY, BODY, { request })).rejects.toMatchObject(unknown);
    expect(seen).toHaveLength(1);
  });
});

test('a refusal of apply is an answer to propose, and an error to commit', async () => {
  const refused = {
    ok: false,
    code: 'CV_TOKEN_NOT_FOUND',
    message: 'no token has this id',
    details: { id: 't' },
  } as unknown as CommandResult;
  outcomes = [refused];
  expect((await proposer.propose(BY, BODY)).result).toBe(refused);
  await expect(proposer.commit(BY, BODY)).rejects.toMatchObject({
    code: 'CV_TOKEN_NOT_FOUND',
    details: { id: 't' },
  });
  outcomes = [DONE];
  expect(await proposer.commit(BY, BODY)).toMatchObject({ index: 7, values: { id: 't' } });
});
