import { build, ensureInstalled } from './lib/ensure.mjs';

ensureInstalled();
build();
