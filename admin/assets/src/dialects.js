// The formats that the playground speaks: how a chat becomes a request, and what an event of an answer says.
const picture = url => { const [, type, data] = /^data:([^;]+);base64,(.*)$/.exec(url) || []; return { type, data }; };
const schema = names => ({ type: 'object', properties: Object.fromEntries(names.map(name => [name, { type: 'string' }])), required: names });
const budget = { low: 1024, medium: 4096, high: 16384 };
const clean = object => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== ''));
const said = (delta, kind = 'text') => ({ [kind]: delta || '' });

/** Each: `path(model, stream)`, `body(chat)`, and `read(event)` → {text, thought, tool, usage, error}. */
export const dialects = {
  chat: {
    path: () => '/v1/chat/completions',
    body: c => clean({
      model: c.model,
      messages: [...(c.system ? [{ role: 'system', content: c.system }] : []), ...c.turns.map(t => ({ role: t.role, content: t.image ? [{ type: 'text', text: t.text }, { type: 'image_url', image_url: { url: t.image } }] : t.text }))],
      stream: c.stream, temperature: c.temperature, top_p: c.top_p, max_tokens: c.most, presence_penalty: c.presence, frequency_penalty: c.frequency, seed: c.seed, reasoning_effort: c.effort,
      tools: c.tools.length ? c.tools.map(t => ({ type: 'function', function: { name: t.name, parameters: schema(t.names) } })) : undefined,
      stream_options: c.stream ? { include_usage: true } : undefined,
    }),
    read: e => {
      const out = { usage: e.usage && { in: e.usage.prompt_tokens, out: e.usage.completion_tokens, all: e.usage } };
      for (const choice of e.choices || []) {
        const delta = choice.delta || choice.message || {};
        out.text = (out.text || '') + (delta.content || ''); out.thought = (out.thought || '') + (delta.reasoning_content || delta.reasoning || '');
        for (const call of delta.tool_calls || []) out.tool = (out.tool || '') + `${call.function?.name ? `\n${call.function.name} ` : ''}${call.function?.arguments || ''}`;
      }
      return out;
    },
  },
  responses: {
    path: () => '/v1/responses',
    body: c => clean({
      model: c.model, instructions: c.system,
      input: c.turns.map(t => ({ role: t.role, content: [{ type: t.role === 'assistant' ? 'output_text' : 'input_text', text: t.text }, ...(t.image ? [{ type: 'input_image', image_url: t.image }] : [])] })),
      stream: c.stream, temperature: c.temperature, top_p: c.top_p, max_output_tokens: c.most, reasoning: c.effort ? { effort: c.effort } : undefined,
      tools: c.tools.length ? c.tools.map(t => ({ type: 'function', name: t.name, parameters: schema(t.names) })) : undefined,
    }),
    read: e => {
      const usage = (e.response || e).usage, counted = usage && { in: usage.input_tokens, out: usage.output_tokens, all: usage };
      if (e.type === 'response.output_text.delta') return said(e.delta);
      if (/^response\.reasoning.*\.delta$/.test(e.type)) return said(e.delta, 'thought');
      if (e.type === 'response.function_call_arguments.delta') return said(e.delta, 'tool');
      if (e.type === 'response.output_item.added' && e.item?.type === 'function_call') return said(`\n${e.item.name} `, 'tool');
      if (e.type === 'response.failed') return { error: e.response?.error, usage: counted };
      if (e.type) return { usage: counted };
      const out = { usage: counted };
      for (const item of e.output || []) {
        if (item.type === 'message') out.text = (out.text || '') + item.content.map(part => part.text || '').join('');
        if (item.type === 'reasoning') out.thought = (out.thought || '') + (item.summary || []).map(part => part.text || '').join('');
        if (item.type === 'function_call') out.tool = `${out.tool || ''}\n${item.name} ${item.arguments}`;
      }
      return out;
    },
  },
  messages: {
    path: () => '/v1/messages',
    body: c => clean({
      model: c.model, max_tokens: c.most || Math.max(1024, (budget[c.effort] || 0) + 1024), system: c.system,
      messages: c.turns.filter(t => t.role !== 'system').map(t => ({ role: t.role, content: [...(t.image ? [{ type: 'image', source: { type: 'base64', media_type: picture(t.image).type, data: picture(t.image).data } }] : []), { type: 'text', text: t.text }] })),
      stream: c.stream, temperature: c.temperature, top_p: c.top_p, thinking: c.effort ? { type: 'enabled', budget_tokens: budget[c.effort] } : undefined,
      tools: c.tools.length ? c.tools.map(t => ({ name: t.name, input_schema: schema(t.names) })) : undefined,
    }),
    read: e => {
      const usage = e.usage || e.message?.usage, out = { usage: usage && { in: usage.input_tokens, out: usage.output_tokens, all: usage } };
      const blocks = e.type === 'content_block_start' ? [e.content_block] : e.type === 'message' ? e.content : [];
      for (const block of blocks) {
        if (block.type === 'text') out.text = (out.text || '') + (block.text || '');
        if (block.type === 'thinking') out.thought = (out.thought || '') + (block.thinking || '');
        if (block.type === 'tool_use') out.tool = `${out.tool || ''}\n${block.name} ${Object.keys(block.input || {}).length ? JSON.stringify(block.input) : ''}`;
      }
      const delta = e.delta || {};
      return { ...out, ...(delta.text ? said(delta.text) : {}), ...(delta.thinking ? said(delta.thinking, 'thought') : {}), ...(delta.partial_json ? said(delta.partial_json, 'tool') : {}) };
    },
  },
  gemini: {
    path: (model, stream) => `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: c => clean({
      contents: c.turns.map(t => ({ role: t.role === 'assistant' ? 'model' : 'user', parts: [{ text: t.text }, ...(t.image ? [{ inlineData: { mimeType: picture(t.image).type, data: picture(t.image).data } }] : [])] })),
      systemInstruction: c.system ? { parts: [{ text: c.system }] } : undefined,
      generationConfig: clean({ temperature: c.temperature, topP: c.top_p, maxOutputTokens: c.most, presencePenalty: c.presence, frequencyPenalty: c.frequency, seed: c.seed, thinkingConfig: c.effort ? { thinkingBudget: budget[c.effort], includeThoughts: true } : undefined }),
      tools: c.tools.length ? [{ functionDeclarations: c.tools.map(t => ({ name: t.name, parameters: schema(t.names) })) }] : undefined,
    }),
    read: e => {
      const usage = e.usageMetadata, out = { usage: usage && { in: usage.promptTokenCount, out: usage.candidatesTokenCount, all: usage } };
      for (const part of e.candidates?.[0]?.content?.parts || []) {
        if (part.functionCall) out.tool = `${out.tool || ''}\n${part.functionCall.name} ${JSON.stringify(part.functionCall.args || {})}`;
        else if (part.thought) out.thought = (out.thought || '') + (part.text || '');
        else out.text = (out.text || '') + (part.text || '');
      }
      return out;
    },
  },
};

/** `get_weather(city, unit)` a line, as tools. */
export const toolsOf = text => text.split('\n').map(line => /^\s*([\w-]+)\s*\(([^)]*)\)\s*$/.exec(line)).filter(Boolean).map(([, name, names]) => ({ name, names: names.split(',').map(one => one.trim()).filter(Boolean) }));
