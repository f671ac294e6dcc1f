/** A picture with a model's map over it. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Inspection } from "../api";
import { paintMap } from "../colors";
import { t } from "../i18n";
import { attempt } from "../store";

/** The map is asked for when the picture comes into view. */
export function HeatPicture({ id, address, model, scale, opacity }: { id: string; address: string; model: string; scale: readonly [number, number]; opacity: number }): JSX.Element {
  const host = useRef<HTMLSpanElement>(null);
  const [found, setFound] = useState<Inspection>();
  useEffect(() => {
    let stale = false;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void attempt(async () => {
        const answer = await api.inspect(model, id);
        if (!stale) setFound(answer);
      });
    });
    observer.observe(host.current!);
    return () => {
      stale = true;
      observer.disconnect();
    };
  }, [id, model]);
  useEffect(() => {
    const old = host.current?.querySelector("canvas");
    old?.remove();
    if (found) host.current?.append(paintMap(found.map, found.width, found.height, scale));
  }, [found, scale]);
  return (
    <span ref={host} class="heat" style={{ "--opacity": String(opacity) }}>
      <img src={address} alt="" loading="lazy" />
      {found?.whole_image && <span class="whole">{t("map.whole")}</span>}
    </span>
  );
}
