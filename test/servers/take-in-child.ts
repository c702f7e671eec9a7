// `takeIn` in a process of its own, which says on standard output how that ended and how much memory it took.
import { takeIn } from './take-in.ts';

const [kind = '', url = '', digest = ''] = process.argv.slice(2);
const before = process.resourceUsage().maxRSS;
const ended = await takeIn(kind, url, digest);
console.log(JSON.stringify({ ...ended, megabytes: Math.round((process.resourceUsage().maxRSS - before) / 1024) }));
process.exit();
