/** The pages that a person sees in a browser. */
import type { Answer } from './exchange.js';

export function page(content: string, status = 200): Answer {
  const body = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>Sandbox</title></head><body>${content}</body></html>`;
  return { status, headers: { 'content-type': 'text/html;charset=UTF-8' }, body };
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
