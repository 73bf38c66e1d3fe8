/** What a group of commands is about; one line, no full stop. */
export const GROUPS: Readonly<Record<string, string>> = {
  admin: 'Administrators who come over the network',
  cluster: 'The whole cluster: its settings, and what to do after a compromise',
  context: 'Whom commands talk to',
  keys: 'Keys of the cluster and of this host',
  node: 'The members of the cluster',
  secret: 'Secrets and their versions',
  service: 'What runs, with which secrets',
  task: 'Single runs of services',
  token: 'Join tokens',
};
