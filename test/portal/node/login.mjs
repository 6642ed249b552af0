// Plays a person who comes in by a provider of OpenID Connect, with the link of an
// invitation, reads, and signs out here and there.
//
// login: {name, origin, provider, invitation: path, person, home: path}
export async function login(browser, l, axe, write) {
  const wrong = (path, what, detail) => write({ role: l.name, path, wrong: what, detail });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'fr-FR', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const here = () => new URL(page.url()).pathname;
  page.on('console', (m) => { if (m.type() === 'error' && !/status of 40[13]/.test(m.text())) wrong(here(), 'console', m.text()); });
  page.on('request', (r) => { if (![l.origin, l.provider].includes(new URL(r.url()).origin)) wrong(here(), 'outside request', r.url()); });
  const seen = [];
  const look = async (path) => {
    if (path && here() !== path) wrong(here(), 'not at', path);
    await axe(page, (what, detail) => wrong(here(), what, detail));
    await page.setViewportSize({ width: 320, height: 900 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) wrong(here(), 'too wide at 320', over);
    await page.setViewportSize({ width: 1280, height: 900 });
    seen.push(here());
  };
  const press = async (role, name) => { await page.getByRole(role, { name }).first().click(); await page.waitForLoadState('load'); };

  await page.goto(l.origin + l.home);
  await look(l.home); // refused, and told how to come in
  await page.goto(l.origin + l.invitation);
  await look('/invitation');
  await press('link', /Accepter/);
  if (!page.url().startsWith(l.provider)) wrong(here(), 'not at the provider', page.url());
  await press('button', l.person);
  await page.waitForURL(l.origin + l.home);
  await look(l.home);
  const cookies = (await context.cookies(l.origin)).filter((c) => c.name.startsWith('__Host-'));
  if (cookies.length !== 1 || !cookies[0].httpOnly || !cookies[0].secure || cookies[0].sameSite !== 'Lax' || cookies[0].path !== '/') wrong(here(), 'cookies', cookies);
  const kept = await page.evaluate(() => ({ cookie: document.cookie, local: localStorage.length, session: sessionStorage.length }));
  if (kept.cookie || kept.local || kept.session) wrong(here(), 'kept in the browser', kept);

  await press('link', 'Mon accès');
  await look('/moi');
  if (!(await page.textContent('main')).includes('une invitation')) wrong('/moi', 'does not say by what', await page.textContent('main'));
  await press('button', 'Se déconnecter');
  await look('/deconnexion');
  await press('link', /Se déconnecter aussi/);
  await page.waitForURL((u) => u.origin === l.origin);
  const back = await page.goto(l.origin + l.home);
  if (back.status() !== 403) wrong(l.home, 'signed out, it answers', back.status());
  await context.clearCookies();
  const again = await page.goto(l.origin + l.invitation);
  if (again.status() !== 403) wrong('/invitation', 'used, it answers', again.status());
  await look('/invitation');
  write({ role: l.name, pages: seen.length, files: 0, kinds: new Set(seen).size });
  await context.close();
}
