import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { files, read, ROOT } from './support.ts'

/** As GitHub names the headings of a page. */
function anchors(markdown: string): string[] {
  return [...markdown.replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  )
}

describe('links between the pages', () => {
  test.each(files('**/*.md'))('%s', (page) => {
    const text = read(page).replace(/^```.*?^```$/gms, '')
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target))
    for (const target of targets) {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path))
      expect(existsSync(join(ROOT, file)), `${page}: ${target}`).toBe(true)
      if (anchor !== undefined) expect(anchors(read(file)), `${page}: ${target}`).toContain(anchor)
    }
  })
})
