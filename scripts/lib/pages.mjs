// Checks of Markdown pages: one title at the top, and relative links that lead somewhere.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

const FENCE = /^ {0,3}(```|~~~)/;
const HEADING = /^(#{1,6}) (.+)$/;
const LINK = /!?\[[^\]]*\]\(([^()\s]+)\)/g;

/** The lines of a page outside fenced code, with code spans emptied. */
function prose(text) {
  let isCode = false;
  return text.split('\n').map((line) => {
    if (FENCE.test(line)) {
      isCode = !isCode;
      return '';
    }
    return isCode ? '' : line;
  });
}

/** The anchor that viewers make of a heading. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

function headingsOf(text) {
  return prose(text).flatMap((line) => {
    const [, marks, title] = HEADING.exec(line) ?? [];
    return marks === undefined ? [] : [{ level: marks.length, title }];
  });
}

/** Says why a link of `page` leads nowhere; undefined when it is fine or leaves the repository. */
function linkProblem(page, target, { root, text }) {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
  const [file, anchor] = target.split('#');
  const path = file === '' ? page : resolve(dirname(page), decodeURIComponent(file));
  if (relative(root, path).startsWith('..')) return `${target} leads out of the repository`;
  if (!existsSync(path)) return `${target} does not exist`;
  if (anchor === undefined || statSync(path).isDirectory() || !path.endsWith('.md')) {
    return undefined;
  }
  const there = headingsOf(path === page ? text : readFileSync(path, 'utf8'));
  if (there.some(({ title }) => anchorOf(title) === anchor)) return undefined;
  return `${target}: the page has no such heading`;
}

/** Every problem of one page, each with its place. */
export function pageProblems(page, root) {
  const text = readFileSync(page, 'utf8');
  const place = relative(root, page);
  const problems = [];
  if (!/^# \S/.test(text)) problems.push(`${place}:1: a page begins with its title, "# ..."`);
  const titles = headingsOf(text).filter(({ level }) => level === 1);
  if (titles.length > 1) problems.push(`${place}: more than one title of the first level`);
  for (const [number, line] of prose(text).entries()) {
    for (const [, target] of line.replaceAll(/`[^`]*`/g, '``').matchAll(LINK)) {
      const problem = linkProblem(page, target, { root, text });
      if (problem !== undefined) problems.push(`${place}:${number + 1}: the link ${problem}`);
    }
  }
  return problems;
}
