// The same with liferaft, or its maintained fork. It has to have a log on disk; it writes without a
// sync, so that a folder in memory makes it comparable. Its `command` draws the index of an entry
// before it stores it, so that two at a time would overwrite each other: commands go one by one.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** @returns undefined for sizes it cannot do: alone it never has a quorum */
export async function start(size, { folder, name, scratch }) {
  if (size === 1) return undefined;
  const require = createRequire(join(folder, 'package.json'));
  const LifeRaft = require(name);
  const Log = require(`${name}/log`);
  const logs = mkdtempSync(join(scratch, 'liferaft-'));
  const members = new Map();
  class Member extends LifeRaft {
    write(packet, callback) {
      setImmediate(() =>
        members.get(this.address)?.emit('data', packet, (reply) => callback(null, reply)),
      );
    }
  }
  const addresses = Array.from({ length: size }, (_, i) => `${i + 1}`);
  for (const address of addresses) {
    const options = { 'election min': '1 s', 'election max': '2 s', heartbeat: '100 ms' };
    const member = new Member(address, { ...options, Log, path: join(logs, address) });
    member.on('error', () => {});
    members.set(address, member);
  }
  for (const [address, member] of members) {
    for (const other of addresses) if (other !== address) member.join(other);
  }
  const isLed = (member) => member.state === LifeRaft.LEADER;
  while (![...members.values()].some(isLed)) await new Promise((go) => setTimeout(go, 50));
  const leader = [...members.values()].find(isLed);
  return {
    isConcurrent: false,
    async propose(command) {
      const committed = new Promise((resolve) => leader.once('commit', resolve));
      await leader.command({ value: Buffer.from(command).toString('base64') });
      await committed;
    },
    async stop() {
      for (const member of members.values()) member.end();
      rmSync(logs, { recursive: true, force: true });
    },
  };
}
