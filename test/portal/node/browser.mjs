// Reads every page of the portal in Chromium as one or several readers, each with
// its client certificate, and writes what is wrong, one JSON object a line.
//
//   node browser.mjs < plan.json
//
// plan: {chromium, roles: [{name, origin, start, cert, key, keyboard}], canaries: [text],
//        most: pages of one kind, logins: as login.mjs says,
//        shots: [{origin, path, file, cert, key, height | before | after}]}
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { login } from './login.mjs';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'RGAAv4', 'best-practice'];
const plan = JSON.parse(readFileSync(0, 'utf8'));
const write = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const maxBytes = 150 * 1024;

// kind is a page without what it is about: two establishments have one kind.
const kind = (url) => url.pathname.replace(/[0-9a-f-]{36}|\d{9,10}|20\d\d-S\d\d/g, '*') +
  (url.search ? '?' + [...url.searchParams.keys()].sort().join('&') : '');

async function accessible(page, wrong) {
  await page.evaluate(axeSource + ';0'); // by the debugger: the policy of the page forbids every script
  const found = await page.evaluate((values) => axe.run(document, { runOnly: { type: 'tag', values } }), tags);
  for (const v of found.violations) wrong('axe ' + v.id, v.nodes.slice(0, 3).map((x) => x.html.slice(0, 200) + ' ' + x.failureSummary));
}

async function read(browser, role) {
  const wrong = (path, what, detail) => write({ role: role.name, path, wrong: what, detail });
  const options = { ignoreHTTPSErrors: true, locale: 'fr-FR', viewport: { width: 1280, height: 900 } };
  if (role.cert) options.clientCertificates = [{ origin: role.origin, certPath: role.cert, keyPath: role.key }];
  const context = await browser.newContext(options);
  const page = await context.newPage();
  let here = '';
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') wrong(here, 'console', m.text()); });
  page.on('pageerror', (e) => wrong(here, 'page error', String(e)));
  page.on('request', (r) => { if (new URL(r.url()).origin !== role.origin) wrong(here, 'outside request', r.url()); });
  page.on('requestfailed', (r) => { if (!/ERR_ABORTED/.test(r.failure()?.errorText ?? '')) wrong(here, 'request failed', r.url() + ' ' + r.failure()?.errorText); });

  const queue = [new URL(role.start, role.origin)];
  const seen = new Set([queue[0].href]);
  const kinds = new Map();
  let pages = 0, files = 0;
  while (queue.length > 0) {
    const url = queue.shift();
    const k = kind(url);
    const n = kinds.get(k) ?? 0;
    if (n >= plan.most) continue;
    kinds.set(k, n + 1);
    here = url.pathname + url.search;
    if (/preuve$|fichiers\/[^/]+\/|\.(json|atom)$/.test(url.pathname)) {
      const answer = await context.request.get(url.href, { maxRedirects: 0 });
      const body = await answer.text();
      if (answer.status() !== 200) wrong(here, 'status', answer.status());
      for (const c of plan.canaries) if (body.includes(c)) wrong(here, 'canary', c);
      files++;
      continue;
    }
    const answer = await page.goto(url.href, { waitUntil: 'load' });
    if (answer.status() !== 200) { wrong(here, 'status', answer.status()); continue; }
    const source = await answer.text();
    if (Buffer.byteLength(source) > maxBytes) wrong(here, 'bytes', Buffer.byteLength(source));
    for (const c of plan.canaries) if (source.includes(c)) wrong(here, 'canary', c);
    pages++;
    if (n === 0) {
      await accessible(page, (what, detail) => wrong(here, what, detail));
      for (const width of [640, 320]) { // 1280 at 200 % and at 400 %
        await page.setViewportSize({ width, height: 900 });
        const over = await page.evaluate(() => ({
          page: document.documentElement.scrollWidth - innerWidth,
          lost: [...document.querySelectorAll('main *')].filter((e) => !e.closest('.wide, pre, svg, details.card') && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)),
        }));
        if (over.page > 0 || over.lost.length > 0) wrong(here, 'too wide at ' + width, over);
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    }
    for (const href of await page.$$eval('a[href]', (all) => all.map((a) => a.href))) {
      const next = new URL(href);
      next.hash = '';
      if (next.pathname === '/connexion/aller') continue; // to the provider: login.mjs goes there
      if (next.origin === role.origin && !seen.has(next.href)) { seen.add(next.href); queue.push(next); }
    }
  }
  if (role.keyboard) await keyboard(page, role, (what, detail) => wrong('keyboard', what, detail));
  write({ role: role.name, pages, files, kinds: kinds.size });
  await context.close();
}

// keyboard goes the ways of a reader without a mouse: to the content, to a
// definition, to a search and its first exchange.
async function keyboard(page, role, wrong) {
  const focused = () => page.evaluate(() => { const e = document.activeElement; return { tag: e.tagName, text: e.textContent.trim().slice(0, 60), id: e.id, name: e.getAttribute('name'), outline: getComputedStyle(e).outlineStyle }; });
  const tabTo = async (is, most = 120) => {
    for (let i = 0; i < most; i++) {
      await page.keyboard.press('Tab');
      const f = await focused();
      if (f.tag !== 'BODY' && f.outline === 'none' && f.id !== 'contenu') wrong('no visible focus', f);
      if (is(f)) return f;
    }
    wrong('cannot reach', String(is));
    return null;
  };
  await page.goto(role.origin + role.keyboard + '/indicateurs');
  const first = await tabTo(() => true);
  if (first?.text !== 'Aller au contenu') wrong('the first stop', first);
  await page.keyboard.press('Enter');
  if ((await focused()).id !== 'contenu') wrong('the skip link leads to', await focused());
  if (await tabTo((f) => f.tag === 'SUMMARY')) {
    await page.keyboard.press('Enter');
    if (!(await page.locator('details.card[open]').first().isVisible())) wrong('a definition does not open');
  }
  await page.goto(role.origin + role.keyboard + '/echanges');
  if (!(await tabTo((f) => f.name === 'message'))) return;
  if (!(await tabTo((f) => f.tag === 'BUTTON'))) return;
  await Promise.all([page.waitForURL(/du=/), page.keyboard.press('Enter')]);
  if (!(await tabTo((f) => f.tag === 'A' && /^\d\d\/\d\d\/\d{4}/.test(f.text)))) return;
  await Promise.all([page.waitForURL(/echange\//), page.keyboard.press('Enter')]);
  if (!(await page.locator('h1').textContent()).startsWith('Échange')) wrong('the story of an exchange', await page.url());
}

async function shoot(browser) {
  for (const s of plan.shots ?? []) {
    const options = { ignoreHTTPSErrors: true, locale: 'fr-FR', viewport: { width: 1280, height: s.height ?? 900 } };
    if (s.cert) options.clientCertificates = [{ origin: s.origin, certPath: s.cert, keyPath: s.key }];
    const context = await browser.newContext(options);
    const page = await context.newPage();
    await page.goto(s.origin + s.path, { waitUntil: 'load' });
    const clip = { x: 0, y: 0, width: 1280, height: s.height ?? 900 }; // before an element, or after it
    if (s.before) clip.height = Math.floor((await page.locator(s.before).first().boundingBox()).y) - 8;
    if (s.after) { const b = await page.locator(s.after).first().boundingBox(); clip.height = Math.ceil(b.y + b.height) + 2; }
    await page.screenshot({ path: s.file, fullPage: true, clip });
    await context.close();
    write({ shot: s.file });
  }
}

const browser = await chromium.launch({ executablePath: plan.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  for (const role of plan.roles ?? []) await read(browser, role);
  for (const l of plan.logins ?? []) await login(browser, l, accessible, write);
  await shoot(browser);
} finally {
  await browser.close();
}
