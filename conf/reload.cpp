#include "conf/reload.h"

#include "conf/table.h"

namespace raftd::conf {

Reloaded take_reloadable(NodeSettings& running, const NodeSettings& fresh) {
    Reloaded result;
    NodeSettings source = fresh;  // the accessors serve the parser too, so they aren't const
    for (const Setting& setting : settings_table()) {
        if (value_text(setting, running) == value_text(setting, fresh)) continue;
        (setting.reloadable ? result.taken : result.kept).push_back(path_of(setting));
        if (!setting.reloadable) continue;
        std::visit([&](auto field) { field(running) = field(source); }, setting.field);
    }
    return result;
}

}  // namespace raftd::conf
