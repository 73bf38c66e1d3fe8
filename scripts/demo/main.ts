import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Farm } from '@conclave/testing';
import { Narrator } from './narrator.js';
import { missingForDemo } from './requirements.js';
import { Story } from './story.js';

const USAGE = `Usage: npm run demo [-- --keep]

Starts three managers and two workers as processes of their own and tells the story of the first
cluster, every command as a person would type it.

  --keep       leave the cluster running at the end, and print how to use and stop it
  --loopback   no network namespaces, even as root
`;

const HOSTS = ['manager-1', 'manager-2', 'manager-3', 'worker-1', 'worker-2'];

function explainKept(farm: Farm, tell: Narrator): void {
  const bundle = resolve(import.meta.dirname, '../../packages/cli/bundle/conclave.js');
  tell.say('\nThe cluster goes on running. Talk to it through any host:');
  for (const host of farm.hosts) {
    if (host.isRunning) tell.say(`  node ${bundle} --socket ${host.socketPath} status`);
  }
  tell.say('\nStop it and remove everything:');
  const pids = farm.hosts.filter((host) => host.isRunning).map((host) => host.pid);
  tell.say(`  kill ${pids.join(' ')}; sleep 3; pkill -9 -f ${farm.memoryFolder}`);
  tell.say(
    `  grep -o '${farm.memoryFolder}[^ ]*' /proc/self/mountinfo | sort -r | xargs -r -n1 umount`,
  );
  if (farm.network.kind === 'namespaces') {
    tell.say(`  ip netns list | grep -o '^${farm.tag}-[^ ]*' | xargs -r -n1 ip netns del`);
  }
  tell.say(`  rm -rf ${farm.folder} ${farm.memoryFolder}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      keep: { type: 'boolean' },
      loopback: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const tell = new Narrator();
  const missing = await missingForDemo();
  if (missing.length > 0) {
    tell.say('The demo cannot run here. Missing:');
    for (const text of missing) tell.say(`  - ${text}`);
    return 71;
  }
  const farm = await Farm.create({
    names: HOSTS,
    bundle: resolve(import.meta.dirname, '../../packages/cli/bundle'),
    network: values.loopback === true ? 'loopback' : 'auto',
    tag: `cv${process.pid}`,
  });
  if (farm.networkNotice !== '') tell.say(`Loopback addresses are used: ${farm.networkNotice}.`);
  const started = performance.now();
  let isInterrupted = false;
  const interrupt = (): void => {
    if (isInterrupted) return;
    isInterrupted = true;
    tell.say('\nInterrupted: cleaning up …');
    void farm.close().finally(() => process.exit(130));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  let code = 0;
  try {
    await new Story(farm, tell).tell();
    tell.table();
    tell.say(`\nAll as promised, in ${((performance.now() - started) / 1000).toFixed(0)} s.`);
  } catch (error) {
    code = 1;
    tell.failed(error);
    for (const host of farm.hosts) {
      tell.say(`\nlast lines of ${host.name}:`);
      tell.answered(await host.logTail(8));
    }
  }
  if (isInterrupted) return 130;
  if (values.keep === true && code === 0) {
    for (const host of farm.hosts) host.release();
    explainKept(farm, tell);
    return 0;
  }
  await farm.close();
  return code;
}

process.exit(await main());
