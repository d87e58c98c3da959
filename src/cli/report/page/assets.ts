/** What the page holds besides its data. */
export interface PageAssets {
  readonly script: string
  readonly style: string
}

/** The script and the style of the page. The build makes them of client/, and writes them down in the place of this function. */
export function pageAssets(): PageAssets {
  throw new Error('the script of the page is in the built program alone')
}
