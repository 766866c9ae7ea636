"""The place of human judgement between curate and datasets: queue, agreement, consensus. Nothing is built here yet."""
